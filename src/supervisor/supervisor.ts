import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { Underway } from '../base/underway.js';
import { diffConfigs } from '../config/diff.js';
import type { Config, GatewaySettings, Service } from '../config/model.js';
import type { IsolationRow, ReloadReport } from '../ipc/admin-api.js';
import { CertificateWatch } from './certificate-watch.js';
import { describeReload, ipv4PortsOf, keepUnchanged } from './config-changes.js';
import { createEgress } from './create-egress.js';
import type { EgressDoors } from './egress-doors.js';
import type { GatewayProgramSettings } from './gateway-program.js';
import { GatewaySet } from './gateway-set.js';
import { shareFor } from './gateway-share.js';
import { Identities } from './identities.js';
import { InstanceFactory } from './instance-factory.js';
import { reportIsolation } from './isolation-report.js';
import type { JournalWriter } from './journal-output.js';
import { KeptDescriptors } from './kept-descriptors.js';
import { KeptRecords } from './kept-records.js';
import { ListenerSockets, METRICS_LISTENER, metricsListener } from './listener-sockets.js';
import { Machine } from './machine.js';
import { Reach } from './reach.js';
import type { ServiceManager } from './service-manager.js';
import { ServiceSet } from './service-set.js';
import { StartQueue } from './start-queue.js';
import { makeStateDirectory } from './state-directory.js';
import { TrafficCounters } from './traffic-counters.js';
import { VpsStore } from './vps-store.js';

export interface SupervisorSettings extends Omit<GatewayProgramSettings, 'openLog'> {
  readonly config: Config;
  readonly runtimeDir: string;
  readonly stateDir: string;
  /** Where rouse itself is installed. */
  readonly packageRoot: string;
  /** The gateway's program, a file of the package. */
  readonly gatewayProgram: string;
  /** The egress process's program, likewise. */
  readonly egressProgram: string;
  /** Environment of gateways: how they log. */
  readonly gatewayEnvironment: Readonly<Record<string, string>>;
  /** Descriptors that were passed to this process, by name (sd_listen_fds_with_names(3)). */
  readonly inheritedSockets: ReadonlyMap<string, readonly number[]>;
  readonly manager: ServiceManager;
  /** Gets what services print, and what gateways log; null: there is none. */
  readonly journal: JournalWriter | null;
  readonly afterCrash: boolean;
  /** Root of a user namespace only (user_namespaces(7)). */
  readonly isRootless: boolean;
  readonly log: Logger;
}

/**
 * The privileged process: owns the listening sockets, the VPSs, the services' lives and the
 * gateways. It reads nothing that came from a client.
 */
export class Supervisor {
  readonly counters = new TrafficCounters();
  readonly services: ServiceSet;
  readonly gateways: GatewaySet;
  /** Set by who can render them. */
  renderMetrics: () => Promise<string> = async () => '';
  readonly #underway = new Underway();
  readonly #kept: KeptDescriptors;
  readonly #records: KeptRecords;
  readonly #listeners: ListenerSockets;
  /** The one socket on which the first gateway serves metrics. */
  readonly #metrics: ListenerSockets;
  readonly #startQueue: StartQueue;
  readonly egress: EgressDoors;
  readonly #store: VpsStore;
  readonly #instances: InstanceFactory;
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
    const { config, journal, log, runtimeDir, stateDir } = settings;
    const openLog = journal && (() => journal.openSocket());
    const underway = this.#underway;
    this.#config = config;
    this.#kept = new KeptDescriptors(settings.inheritedSockets, settings.manager, (message) =>
      log.warn(message),
    );
    this.#listeners = new ListenerSockets(this.#kept, settings.afterCrash);
    this.#metrics = new ListenerSockets(this.#kept, settings.afterCrash);
    this.#records = new KeptRecords(this.#kept);
    this.#startQueue = new StartQueue(config.startParallel, underway);
    const reach: Reach = new Reach(
      {
        listen: (name, sockets) => this.gateways.listen(name, sockets),
        unlisten: (name) => this.gateways.unlisten(name),
      },
      log,
    );
    this.egress = createEgress({
      ...{ runtimeDir, machine, identities, underway, log, openLog },
      program: settings.egressProgram,
      environment: settings.gatewayEnvironment,
    });
    this.#store = new VpsStore({
      runtimeDir,
      planFor: machine.isolation.planFor,
      cgroups: machine.cgroups,
      stateDirectoryOf: (service) => makeStateDirectory(service, stateDir, identities),
      limit: (service, cgroup) => machine.limit(service, cgroup),
      reach,
      egress: this.egress,
      underway,
      log,
    });
    const store = this.#store;
    this.#instances = new InstanceFactory({ store, identities, machine, underway });
    this.services = new ServiceSet({
      ...{ stateDir, journal, log, store, underway, startQueue: this.#startQueue },
      records: this.#records,
      instances: this.#instances,
      onGone: (service, instance) => this.gateways.instanceGone(service, instance),
    });
    const { drivers } = this.services;
    this.gateways = new GatewaySet({
      program: { ...settings, openLog },
      ...{ machine, identities },
      surroundings: {
        ...{ log, underway, counters: this.counters },
        renderMetrics: () => this.renderMetrics(),
        driverFor: (service) => this.services.driverFor(service),
        drivers: () => drivers.values(),
      },
      socketsOf: (listener) => this.#listeners.of(listener),
      reachSockets: () => reach.sockets,
      metricsFd: () => this.#metrics.of(METRICS_LISTENER)[0]?.fd ?? null,
    });
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

  get config(): Config {
    return this.#config;
  }

  addressesOf(listener: string): string[] {
    return this.#listeners.of(listener).map(({ address }) => address);
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
    if (config.metrics) await this.#metrics.open(metricsListener(config.metrics), new Set());
    this.#tellUnusedSockets();
    await this.egress.configure(config);
    await this.gateways.start(config, this.#generation);
    this.#certificates.watch(config);
    this.services.prepareSpares();
  }

  /** What this config doesn't want of the last rouse's is closed before anything is bound. */
  async #resumeListeners(config: Config): Promise<void> {
    const ipv4Ports = ipv4PortsOf(config);
    for (const listener of config.listeners) this.#listeners.resume(listener, ipv4Ports);
    if (config.metrics) this.#metrics.resume(metricsListener(config.metrics), new Set());
    await this.#kept.dropRest();
  }

  async #bindListeners(config: Config): Promise<void> {
    const ipv4Ports = ipv4PortsOf(config);
    for (const listener of config.listeners) await this.#listeners.open(listener, ipv4Ports);
  }

  #tellUnusedSockets(): void {
    const unused = new Set(this.#metrics.unused);
    for (const name of this.#listeners.unused.filter((each) => unused.has(each))) {
      const what = `nobody accepts from the sockets that systemd passed as ${name}`;
      this.settings.log.warn(`${what}: name them (address: systemd:${name}), or stop their unit`);
    }
  }

  #resolveIdentities(services: readonly Service[]): void {
    this.identities.resolveAll(services.map((service) => ({ name: service.name, ...service.run })));
  }

  /** Puts the config that `load` gives into effect. Rejects with a `RouseError`, and the old one goes on unchanged. */
  reload(load: () => Promise<Config>): Promise<ReloadReport> {
    const change = this.#changing.then(async () => this.#reload(await load()));
    this.#changing = change.catch(() => {});
    return change;
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
      this.#listeners.retain(old.listeners);
      throw error;
    }
    this.#config = config;
    this.#generation += 1;
    this.#startQueue.resize(config.startParallel);
    // What fails is said in the log, and tried again.
    await this.egress.configure(config).catch(() => {});
    this.services.change(config);
    const closeSockets = () => {
      const changed = this.#listeners.retain(config.listeners);
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
    this.#changing = this.#changing.then(async () => {
      try {
        this.#generation += 1;
        this.gateways.configure(this.#config, this.#generation);
        this.settings.log.info({ event: 'certificates' }, 'certificates were read again');
      } catch (error) {
        this.settings.log.error(`certificates stay as they were: ${messageOf(error)}`);
      }
    });
    await this.#changing;
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
    this.#listeners.close();
    await drained;
    await this.services.drain(drainUntil);
    this.#metrics.close();
    await this.services.stop(hurry);
    await this.gateways.close();
    await this.#store.close();
    await this.egress.close();
    await this.services.finish();
    this.#records.close();
    await this.machine.close();
  }
}
