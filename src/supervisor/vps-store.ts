import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Underway } from '../base/underway.js';
import type { Service } from '../config/model.js';
import type { CgroupTree } from './cgroup-tree.js';
import type { EgressDoors } from './egress-doors.js';
import { createCgroup, type VpsPlaces } from './isolation.js';
import { PreparedVps, type PreparedVpsState } from './prepared-vps.js';
import type { Reach, ReachDoor } from './reach.js';
import type { ServiceCgroup } from './service-cgroup.js';
import { HeldVps, HostVps, restoreVps, type Vps, type VpsPlan } from './vps.js';

/** VPSs that stand ready for the next start of their services; beyond that many they are built when needed. */
const SPARE_LIMIT = 64;
const PARALLEL_BUILDS = 2;

interface Spare {
  readonly service: Service;
  readonly prepared: PreparedVps;
}

/** What an upgraded supervisor goes on with. */
export interface VpsStoreState {
  readonly serial: number;
  readonly spares: readonly (readonly [service: string, PreparedVpsState])[];
}

export interface VpsStoreSettings {
  readonly runtimeDir: string;
  /** null: this machine (or the config) has no isolation. */
  readonly planFor: ((service: Service, places: VpsPlaces) => VpsPlan) | null;
  /** null: there are none to be had. */
  readonly cgroups: CgroupTree | null;
  /** Makes (once) what `isolation.state` asks for. */
  readonly stateDirectoryOf: (service: Service) => string | null;
  /** Sets the limits that cgroups hold here. */
  readonly limit: (service: Service, cgroup: ServiceCgroup) => Promise<void>;
  readonly reach: Reach;
  readonly egress: EgressDoors;
  readonly underway: Underway;
  readonly log: Logger;
}

/**
 * Builds the VPSs of services, one for each incarnation: what one left behind is never there for the
 * next. It keeps spares, so that a cold start pays for the program only.
 */
export class VpsStore {
  readonly #spares = new Map<string, Spare>();
  readonly #wanted = new Map<string, Service>();
  #building = 0;
  /** Builds in the background, and services whose build isn't wanted any more. */
  readonly #builds = new Set<Promise<void>>();
  readonly #dropped = new Set<string>();
  #serial = 0;
  #isClosed = false;

  constructor(private readonly settings: VpsStoreSettings) {
    settings.underway.onOpen(() => this.#buildNext());
  }

  state(): VpsStoreState {
    const spares = [...this.#spares].map(
      ([service, { prepared }]) => [service, prepared.state()] as const,
    );
    return { serial: this.#serial, spares };
  }

  /** Goes on with the spares of an earlier self, of services that are unchanged. */
  restoreSpares({ serial, spares }: VpsStoreState, services: ReadonlyMap<string, Service>): void {
    this.#serial = serial;
    for (const [name, state] of spares) {
      const service = services.get(name);
      const prepared = this.restore(state);
      if (service) void this.#keep(service, prepared);
      else void prepared.release();
    }
  }

  /** Goes on with the VPS of an earlier self. */
  restore({ vps, reach, egress, ...others }: PreparedVpsState): PreparedVps {
    const { settings } = this;
    return new PreparedVps({
      ...others,
      vps: restoreVps(vps),
      reach: settings.reach.restore(reach),
      egress: settings.egress.restore(egress),
      underway: settings.underway,
    });
  }

  /** A VPS for the next incarnation; the caller releases it. Rejects with a `RouseError` of code `isolation`. */
  async take(service: Service): Promise<PreparedVps> {
    this.#wanted.delete(service.name);
    const spare = this.#spares.get(service.name);
    this.#spares.delete(service.name);
    if (spare?.service === service) return spare.prepared;
    void spare?.prepared.release();
    return this.#build(service);
  }

  /** Asks for a spare, built in the background; where there is no room, instead of the one that was asked for first. */
  prepare(service: Service): void {
    if (!this.settings.planFor || this.#isClosed) return;
    const spare = this.#spares.get(service.name);
    if (spare?.service === service) return;
    this.drop(service.name);
    this.#dropped.delete(service.name);
    if (this.#spares.size + this.#wanted.size >= SPARE_LIMIT) this.#makeRoom();
    this.#wanted.set(service.name, service);
    this.#buildNext();
  }

  #makeRoom(): void {
    const [oldest] = this.#wanted.size > 0 ? this.#wanted.keys() : this.#spares.keys();
    if (oldest !== undefined) this.drop(oldest);
  }

  /**
   * Spares for all services that aren't awake where there is room for all; where there isn't, those
   * that were awake last have theirs. Spares of services that have changed are built anew.
   */
  prepareAll(services: ReadonlyMap<string, Service>, isAwake: (name: string) => boolean): void {
    for (const name of [...this.#spares.keys(), ...this.#wanted.keys()]) {
      const service = services.get(name);
      if (service) this.prepare(service);
      else this.drop(name);
    }
    if (services.size > SPARE_LIMIT) return;
    for (const [name, service] of services) if (!isAwake(name)) this.prepare(service);
  }

  /** The service was removed or changed, or its start is far away. */
  drop(name: string): void {
    this.#wanted.delete(name);
    if (this.#building > 0) this.#dropped.add(name);
    const spare = this.#spares.get(name);
    this.#spares.delete(name);
    void spare?.prepared.release();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wanted.clear();
    const spares = [...this.#spares.values()];
    this.#spares.clear();
    await Promise.all(spares.map(({ prepared }) => prepared.release()));
    await Promise.all(this.#builds);
  }

  #buildNext(): void {
    const [next] = this.#wanted;
    if (!next || this.#building >= PARALLEL_BUILDS || this.#isClosed) return;
    if (this.settings.underway.isClosed) return;
    const [name, service] = next;
    this.#wanted.delete(name);
    this.#building += 1;
    const build = this.settings.underway
      .track(this.#build(service))
      .then(
        (prepared) => this.#keep(service, prepared),
        (error) => this.settings.log.warn({ service: name }, messageOf(error)),
      )
      .finally(() => {
        this.#building -= 1;
        this.#builds.delete(build);
        this.#dropped.delete(name);
        this.#buildNext();
      });
    this.#builds.add(build);
  }

  async #keep(service: Service, prepared: PreparedVps): Promise<void> {
    const isUnwanted = this.#isClosed || this.#dropped.has(service.name);
    if (isUnwanted || this.#spares.has(service.name)) return prepared.release();
    this.#spares.set(service.name, { service, prepared });
    void prepared.vps.ended.then(() => {
      if (this.#spares.get(service.name)?.prepared === prepared) this.drop(service.name);
    });
  }

  async #build(service: Service): Promise<PreparedVps> {
    const { planFor, runtimeDir, cgroups, reach, egress, underway } = this.settings;
    this.#serial += 1;
    const notifyDirectory =
      service.ready.kind === 'notify' || service.idle.hold
        ? join(runtimeDir, 'notify', `${service.name}.${this.#serial}`)
        : null;
    if (notifyDirectory !== null) mkdirSync(notifyDirectory, { recursive: true, mode: 0o711 });
    const cgroup = createCgroup(cgroups, `service-${service.name}`);
    let vps: Vps | null = null;
    let reachDoor: ReachDoor | null = null;
    try {
      const stateDirectory = this.settings.stateDirectoryOf(service);
      if (cgroup) await this.settings.limit(service, cgroup);
      vps = planFor
        ? await HeldVps.build(planFor(service, { notifyDirectory, cgroup, stateDirectory }))
        : new HostVps(cgroup);
      reachDoor = reach.open(service, vps);
      const parts = { vps, notifyDirectory, stateDirectory, reach: reachDoor };
      return new PreparedVps({ ...parts, egress: egress.open(service, vps), underway });
    } catch (error) {
      reachDoor?.close();
      vps?.dispose().catch(() => {});
      if (notifyDirectory !== null) rmSync(notifyDirectory, { recursive: true, force: true });
      void cgroup?.remove();
      throw error instanceof RouseError ? error : new RouseError('isolation', messageOf(error));
    }
  }
}
