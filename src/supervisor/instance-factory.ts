import { chownSync } from 'node:fs';
import { join } from 'node:path';
import type { Underway } from '../base/underway.js';
import type { Service } from '../config/model.js';
import type { ProcessExit } from '../sys/processes.js';
import type { Identities, Identity } from './identities.js';
import { Instance, type InstanceSettings, type InstanceState } from './instance.js';
import type { Machine } from './machine.js';
import type { PreparedVps } from './prepared-vps.js';
import { NOTIFY_DIRECTORY } from './vps-plan.js';
import type { VpsStore } from './vps-store.js';

export interface InstanceEvents {
  readonly onOutput: (chunk: Buffer) => void;
  readonly onHold: (isHeld: boolean) => void;
  readonly onTrouble: (message: string) => void;
  readonly onGone: (exit: ProcessExit | null) => void;
}

export interface InstanceFactorySettings {
  readonly store: VpsStore;
  readonly identities: Identities;
  readonly machine: Machine;
  readonly underway: Underway;
}

/** Makes incarnations: each with a number of its own, a VPS from the store, and the service's identity. */
export class InstanceFactory {
  #lastId = 0;

  constructor(private readonly settings: InstanceFactorySettings) {}

  /** The number of the last one. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Numbers go on after those of an earlier self. */
  goOnFrom(lastId: number): void {
    this.#lastId = lastId;
  }

  async create(service: Service, events: InstanceEvents): Promise<Instance> {
    const identity = this.#identityOf(service);
    const prepared = await this.settings.store.take(service);
    this.#lastId += 1;
    return new Instance(this.#settingsOf(this.#lastId, service, prepared, identity, events));
  }

  /** Goes on with the incarnation of an earlier self. */
  restore(state: InstanceState, events: InstanceEvents): Instance {
    const { id, service } = state;
    const prepared = this.settings.store.restore(state.prepared);
    const identity = this.#identityOf(service);
    return new Instance(this.#settingsOf(id, service, prepared, identity, events), state);
  }

  #identityOf(service: Service): Identity {
    return this.settings.identities.resolve({ name: service.name, ...service.run });
  }

  #settingsOf(
    id: number,
    service: Service,
    prepared: PreparedVps,
    identity: Identity,
    events: InstanceEvents,
  ): InstanceSettings {
    const { machine, underway } = this.settings;
    return {
      ...{ id, service, prepared, underway },
      userName: identity.name,
      identity: switchable(identity),
      launcher: machine.launchers,
      rlimits: machine.rlimitsOf(service),
      notify: notifyPaths(prepared, switchable(identity)),
      ...events,
    };
  }
}

/** Rootless, everything runs as the one user that there is. */
export function switchable(identity: Identity): Identity | null {
  return process.getuid?.() === 0 && identity.uid !== 0 ? identity : null;
}

function notifyPaths(prepared: PreparedVps, identity: Identity | null) {
  const outside = prepared.notifyDirectory;
  if (outside === null) return null;
  if (identity) chownSync(outside, identity.uid, identity.gid);
  const inside = prepared.vps.target.vpsPidfd === null ? outside : NOTIFY_DIRECTORY;
  return { outside: join(outside, 'notify'), inside: join(inside, 'notify') };
}
