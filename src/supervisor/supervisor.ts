import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, RouseError } from '../base/errors.js';
import { diffConfigs } from '../config/diff.js';
import type { Config, GatewaySettings, Service } from '../config/model.js';
import type { IsolationRow, ReloadReport } from '../ipc/admin-api.js';
import { CertificateWatch } from './certificate-watch.js';
import { describeReload, ipv4PortsOf, keepUnchanged } from './config-changes.js';
import type { EgressDoors } from './egress-doors.js';
import type { GatewaySet } from './gateway-set.js';
import { shareFor } from './gateway-share.js';
import { Identities } from './identities.js';
import { reportIsolation } from './isolation-report.js';
import { metricsListener } from './listener-sockets.js';
import { Machine } from './machine.js';
import { checkSurvival, whenAtRest } from './rest.js';
import type { ServiceSet } from './service-set.js';
import { buildParts, type SupervisorParts, type SupervisorSettings } from './supervisor-parts.js';
import {
  restoreSupervisorState,
  type SupervisorState,
  takeSupervisorState,
} from './supervisor-state.js';
import type { TrafficCounters } from './traffic-counters.js';

/** How often it is looked whether gateways that failed to start after an upgrade have come up. */
const RETIRE_LATER_MS = 1000;

/**
 * The privileged process: owns the listening sockets, the VPSs, the services' lives and the
 * gateways. It reads nothing that came from a client.
 */
export class Supervisor {
  readonly counters: TrafficCounters;
  readonly services: ServiceSet;
  readonly gateways: GatewaySet;
  readonly egress: EgressDoors;
  /** Set by who can render them. */
  renderMetrics: () => Promise<string> = async () => '';
  readonly #parts: SupervisorParts;
  readonly #certificates: CertificateWatch;
  #config: Config;
  #generation = 0;
  #changing: Promise<unknown> = Promise.resolve();
  #isClosing = false;

  private constructor(
    private readonly settings: SupervisorSettings,
    readonly machine: Machine,
    private readonly identities: Identities,
  ) {
    this.#config = settings.config;
    this.#parts = buildParts(settings, machine, identities, () => this.renderMetrics());
    this.counters = this.#parts.counters;
    this.services = this.#parts.services;
    this.gateways = this.#parts.gateways;
    this.egress = this.#parts.egress;
    this.#certificates = new CertificateWatch(() => void this.#refreshCertificates());
  }

  /** Starts everything; resolves when every listener takes connections. Rejects with a `RouseError`; nothing is left then. */
  static async start(settings: SupervisorSettings): Promise<Supervisor> {
    const { config } = settings;
    const identities = new Identities(settings.stateDir);
    const machine = await Machine.open({ ...settings, enforce: config.enforce });
    const supervisor = new Supervisor(settings, machine, identities);
    try {
      machine.checkEnforceable(config);
      await supervisor.#open();
      return supervisor;
    } catch (error) {
      await supervisor.stop(AbortSignal.abort(), AbortSignal.abort());
      throw error;
    }
  }

  /** Goes on with all that an earlier self of this process has handed over; `complete` is to follow. */
  static async restore(
    settings: Omit<SupervisorSettings, 'config' | 'inheritedSockets' | 'afterCrash'>,
    state: SupervisorState,
  ): Promise<Supervisor> {
    const { config, kept } = state;
    const inheritedSockets = new Map(kept.passed.map(({ name, fds }) => [name, fds]));
    const identities = new Identities(settings.stateDir);
    const machine = await Machine.open({ ...settings, enforce: config.enforce }, state.machine);
    const full = { ...settings, config, inheritedSockets, afterCrash: false };
    const supervisor = new Supervisor(full, machine, identities);
    supervisor.#generation = state.generation;
    restoreSupervisorState(supervisor.#parts, state);
    return supervisor;
  }

  /** After `restore`: gateways of this version take the place of the earlier ones. Rejects where they aren't ready in time: those serve on until they are. */
  complete(): Promise<void> {
    return this.#inTurn(async () => {
      const config = this.#config;
      await this.egress.configure(config).catch(() => {});
      this.#certificates.watch(config);
      this.services.prepareSpares();
      try {
        await this.gateways.startOrRetry(config, this.#generation);
      } catch (error) {
        void this.#retireLater();
        throw error;
      }
      this.gateways.retireEarlier(config.upgradeTimeoutMs);
    });
  }

  async #retireLater(): Promise<void> {
    while (!this.#isClosing) {
      await delay(RETIRE_LATER_MS, null, { ref: false });
      const isReady = await this.gateways.untilReady(this.#generation).then(
        () => true,
        () => false,
      );
      if (isReady) return this.gateways.retireEarlier(this.#config.upgradeTimeoutMs);
    }
  }

  /**
   * Comes to rest and calls `replace` with what the program that takes over needs; it returns only
   * where that failed, by an error, and all goes on as before. Rejects with that, or with a
   * `RouseError` of code `upgrade` where this doesn't come to rest, or may not.
   */
  handOver(replace: (state: SupervisorState) => never): Promise<void> {
    return this.#inTurn(async () => {
      checkSurvival(this.services);
      await whenAtRest(this.#parts, () => {
        if (this.#isClosing) throw new RouseError('upgrade', 'rouse is shutting down');
        const [config, generation] = [this.#config, this.#generation];
        replace(takeSupervisorState(this.#parts, { config, generation }));
      });
    });
  }

  get config(): Config {
    return this.#config;
  }

  addressesOf(listener: string): string[] {
    return this.#parts.listeners.of(listener).map(({ address }) => address);
  }

  gatewayOf(listener: string): GatewaySettings | undefined {
    return this.#config.gateways.find(({ listeners }) => listeners.includes(listener));
  }

  reportIsolation(service: Service): IsolationRow[] {
    const { isolation, capabilities } = this.machine;
    const identity =
      isolation.planFor && this.identities.resolve({ name: service.name, ...service.run });
    return reportIsolation({ service, capabilities, identity });
  }

  async #open(): Promise<void> {
    const config = this.#config;
    this.#resolveIdentities(config.services);
    this.services.open(config);
    await this.#resumeListeners(config);
    await this.#bindListeners(config);
    if (config.metrics) await this.#parts.metrics.open(metricsListener(config.metrics), new Set());
    this.#tellUnusedSockets();
    await this.egress.configure(config);
    await this.gateways.start(config, this.#generation);
    this.#certificates.watch(config);
    this.services.prepareSpares();
  }

  /** What this config doesn't want of the last rouse's is closed before anything is bound. */
  async #resumeListeners(config: Config): Promise<void> {
    const ipv4Ports = ipv4PortsOf(config);
    for (const listener of config.listeners) this.#parts.listeners.resume(listener, ipv4Ports);
    if (config.metrics) this.#parts.metrics.resume(metricsListener(config.metrics), new Set());
    await this.#parts.kept.dropRest();
  }

  async #bindListeners(config: Config): Promise<void> {
    const ipv4Ports = ipv4PortsOf(config);
    for (const listener of config.listeners) await this.#parts.listeners.open(listener, ipv4Ports);
  }

  #tellUnusedSockets(): void {
    const unused = new Set(this.#parts.metrics.unused);
    for (const name of this.#parts.listeners.unused.filter((each) => unused.has(each))) {
      const what = `nobody accepts from the sockets that systemd passed as ${name}`;
      this.settings.log.warn(`${what}: name them (address: systemd:${name}), or stop their unit`);
    }
  }

  #resolveIdentities(services: readonly Service[]): void {
    this.identities.resolveAll(services.map((service) => ({ name: service.name, ...service.run })));
  }

  /** Puts the config that `load` gives into effect. Rejects with a `RouseError`, and the old one goes on unchanged. */
  reload(load: () => Promise<Config>): Promise<ReloadReport> {
    return this.#inTurn(async () => this.#reload(await load()));
  }

  /** Changes happen one after the other. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#changing.then(change);
    this.#changing = result.catch(() => {});
    return result;
  }

  async #reload(wanted: Config): Promise<ReloadReport> {
    const old = this.#config;
    if (this.#isClosing) throw new RouseError('busy', 'rouse is shutting down');
    this.machine.checkEnforceable(wanted);
    const changes = diffConfigs(old, wanted);
    const config = keepUnchanged(old, wanted);
    this.#resolveIdentities(config.services);
    for (const gateway of config.gateways) shareFor(config, gateway, this.#generation + 1);
    try {
      await this.#bindListeners(config);
    } catch (error) {
      this.#parts.listeners.retain(old.listeners);
      throw error;
    }
    this.#config = config;
    this.#generation += 1;
    this.#parts.startQueue.resize(config.startParallel);
    // What fails is said in the log, and tried again.
    await this.egress.configure(config).catch(() => {});
    this.services.change(config);
    const closeSockets = () => {
      const changed = this.#parts.listeners.retain(config.listeners);
      this.#tellUnusedSockets();
      return changed;
    };
    this.gateways.change(old, config, this.#generation, closeSockets);
    try {
      await this.gateways.untilReady(this.#generation);
    } finally {
      for (const name of await this.services.retain()) this.egress.forget(name);
      this.#certificates.watch(config);
    }
    return this.#report(changes);
  }

  #report(changes: ReturnType<typeof diffConfigs>): ReloadReport {
    const isAwake = (name: string) => this.services.isAwake(name);
    const report = describeReload(changes, this.#generation, isAwake);
    const { added, removed, deferred } = report;
    this.settings.log.info(
      { event: 'reload', ...report },
      `reloaded: ${added.length} added, ${removed.length} removed, ${report.changed.length} changed, ${deferred.length} of these at their next start`,
    );
    return report;
  }

  async #refreshCertificates(): Promise<void> {
    await this.#inTurn(async () => {
      try {
        this.#generation += 1;
        this.gateways.configure(this.#config, this.#generation);
        this.settings.log.info({ event: 'certificates' }, 'certificates were read again');
      } catch (error) {
        this.settings.log.error(`certificates stay as they were: ${messageOf(error)}`);
      }
    });
  }

  /** How long `stop` may take at most, in milliseconds, without what it takes to clean up. */
  get longestStopMs(): number {
    return this.#config.drainTimeoutMs + this.services.longestStopMs;
  }

  /** Drains the gateways until `drainUntil`, then stops everything, from `hurry` on by force; nothing is left when it resolves. */
  async stop(drainUntil: AbortSignal, hurry: AbortSignal): Promise<void> {
    this.#isClosing = true;
    this.services.close();
    await this.#changing;
    this.#certificates.close();
    const drained = this.gateways.drain(drainUntil);
    // Who comes now isn't left to wait in a queue that nobody will accept from.
    this.#parts.listeners.close();
    await drained;
    await this.services.drain(drainUntil);
    this.#parts.metrics.close();
    await this.services.stop(hurry);
    await this.gateways.close();
    await this.#parts.store.close();
    await this.egress.close();
    await this.services.finish();
    this.#parts.records.close();
    await this.machine.close();
  }
}
