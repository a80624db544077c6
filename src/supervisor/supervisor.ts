import { join } from 'node:path';
import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { diffConfigs } from '../config/diff.js';
import type { Config, GatewaySettings, Service } from '../config/model.js';
import type { IsolationRow, ReloadReport, StateEvent } from '../ipc/admin-api.js';
import { CertificateWatch } from './certificate-watch.js';
import {
  describeReload,
  ipv4PortsOf,
  keepUnchanged,
  sameListener,
  sameProcess,
} from './config-changes.js';
import { createEgress } from './create-egress.js';
import type { EgressDoors } from './egress-doors.js';
import { GatewayLink, untilAllReady } from './gateway-link.js';
import { type GatewayProgramSettings, gatewayProgram } from './gateway-program.js';
import { lanesOf, shareFor } from './gateway-share.js';
import { Identities } from './identities.js';
import { createInstanceFactory, type InstanceFactory, switchable } from './instance-factory.js';
import { reportIsolation } from './isolation-report.js';
import { ListenerSockets, METRICS_LISTENER, metricsListener } from './listener-sockets.js';
import { Machine } from './machine.js';
import { OutputLog } from './output-log.js';
import { Reach } from './reach.js';
import { ServiceDriver } from './service-driver.js';
import { StartQueue } from './start-queue.js';
import { makeStateDirectory } from './state-directory.js';
import { TrafficCounters } from './traffic-counters.js';
import { VpsStore } from './vps-store.js';

export interface SupervisorSettings extends GatewayProgramSettings {
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
  readonly inheritedSockets: ReadonlyMap<string, readonly number[]>;
  readonly afterCrash: boolean;
  /** Root of a user namespace only (user_namespaces(7)). */
  readonly isRootless: boolean;
  readonly log: Logger;
}

/** A gateway that was replaced may serve its connections that long. */
const RETIRE_MS = 30_000;

/**
 * The privileged process: owns the listening sockets, the VPSs, the services' lives and the
 * gateways. It reads nothing that came from a client.
 */
export class Supervisor {
  readonly drivers = new Map<string, ServiceDriver>();
  readonly counters = new TrafficCounters();
  readonly outputs = new Map<string, OutputLog>();
  readonly #listeners: ListenerSockets;
  /** The one socket on which the first gateway serves metrics. */
  readonly #metrics: ListenerSockets;
  /** Set by who can render them. */
  renderMetrics: () => Promise<string> = async () => '';
  readonly #gateways = new Map<string, GatewayLink>();
  /** Replaced ones that end their connections yet. */
  readonly #retired = new Set<GatewayLink>();
  readonly #stateListeners = new Set<(event: StateEvent) => void>();
  readonly #startQueue: StartQueue;
  readonly #reach: Reach;
  readonly #egress: EgressDoors;
  readonly #store: VpsStore;
  readonly #createInstance: InstanceFactory;
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
    const { config, log, runtimeDir } = settings;
    this.#config = config;
    this.#listeners = new ListenerSockets(settings.inheritedSockets, settings.afterCrash);
    this.#metrics = new ListenerSockets(settings.inheritedSockets, settings.afterCrash);
    this.#startQueue = new StartQueue(config.startParallel);
    this.#reach = new Reach(
      {
        listen: (name, sockets) => this.#reachGateway?.listen(name, sockets),
        unlisten: (name) => this.#reachGateway?.unlisten(name),
      },
      log,
    );
    this.#egress = createEgress({
      ...{ runtimeDir, machine, identities, log },
      program: settings.egressProgram,
      environment: settings.gatewayEnvironment,
    });
    this.#store = new VpsStore({
      runtimeDir,
      planFor: machine.isolation.planFor,
      cgroups: machine.cgroups,
      stateDirectoryOf: (service) => makeStateDirectory(service, settings.stateDir, identities),
      limit: (service, cgroup) => machine.limit(service, cgroup),
      reach: this.#reach,
      egress: this.#egress,
      log,
    });
    this.#createInstance = createInstanceFactory(this.#store, identities, machine);
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

  get gateways(): readonly GatewayLink[] {
    return [...this.#gateways.values()];
  }

  /** Services of `reach` are accepted for by the first gateway. */
  get #reachGateway(): GatewayLink | undefined {
    const [first] = this.#config.gateways;
    return first && this.#gateways.get(first.name);
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

  onState(listener: (event: StateEvent) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  async #open(): Promise<void> {
    const config = this.#config;
    this.#resolveIdentities(config.services);
    for (const service of config.services) this.#addDriver(service);
    await this.#bindListeners(config);
    if (config.metrics) await this.#metrics.open(metricsListener(config.metrics), new Set());
    await this.#egress.configure(config);
    await Promise.all(
      config.gateways.map((gateway) => this.#createGateway(config, gateway).start()),
    );
    await untilAllReady(this.gateways, this.#generation);
    this.#certificates.watch(config);
    for (const service of config.services) this.#store.prepare(service);
  }

  async #bindListeners(config: Config): Promise<void> {
    const ipv4Ports = ipv4PortsOf(config);
    for (const listener of config.listeners) await this.#listeners.open(listener, ipv4Ports);
  }

  #addDriver(service: Service): void {
    const { log, stateDir } = this.settings;
    const output = new OutputLog({
      name: service.name,
      directory: join(stateDir, 'logs'),
      onError: (message) => log.error({ service: service.name }, message),
    });
    this.outputs.set(service.name, output);
    this.drivers.set(
      service.name,
      new ServiceDriver(service, {
        createInstance: this.#createInstance,
        startQueue: this.#startQueue,
        output,
        log,
        onState: (event) => {
          for (const listener of this.#stateListeners) listener(event);
        },
        onGone: (name, instance) => {
          for (const gateway of this.gateways) gateway.instanceGone(name, instance);
        },
        onAsleep: (asleep) => this.#prepareSpare(asleep),
      }),
    );
  }

  #prepareSpare(service: Service): void {
    const isKept = this.#config.services.some(({ name }) => name === service.name);
    if (!this.#isClosing && isKept) this.#store.prepare(service);
  }

  /** The caller starts it. */
  #createGateway(config: Config, gateway: GatewaySettings): GatewayLink {
    const isFirst = config.gateways[0]?.name === gateway.name;
    const identity = this.identities.resolve({
      name: `gateway:${gateway.name}`,
      user: null,
      group: null,
      groups: [],
    });
    const link = new GatewayLink({
      name: gateway.name,
      launcher: this.machine.launchers,
      lanes: lanesOf(gateway),
      buildVps: () => this.machine.isolation.buildGatewayVps(gateway.name, gateway.cpus),
      program: {
        ...gatewayProgram(this.settings, gateway),
        identity: switchable(identity),
        cpus: gateway.cpus,
      },
      log: this.settings.log,
      counters: this.counters,
      renderMetrics: () => this.renderMetrics(),
      metricsFd: isFirst ? (this.#metrics.of(METRICS_LISTENER)[0]?.fd ?? null) : null,
      driverFor: (service) => this.drivers.get(service) ?? null,
      drivers: () => this.drivers.values(),
    });
    this.#gateways.set(gateway.name, link);
    this.#share(config, gateway, link);
    for (const name of gateway.listeners) link.listen(name, this.#listeners.of(name));
    if (isFirst) for (const [name, sockets] of this.#reach.sockets) link.listen(name, sockets);
    return link;
  }

  #share(config: Config, gateway: GatewaySettings, link: GatewayLink): void {
    link.configure(shareFor(config, gateway, this.#generation));
  }

  #resolveIdentities(services: readonly Service[]): void {
    this.identities.resolveAll(services.map((service) => ({ name: service.name, ...service.run })));
  }

  /** Puts a new config into effect. Rejects with a `RouseError`, and the old one goes on unchanged. */
  reload(config: Config): Promise<ReloadReport> {
    const change = this.#changing.then(() => this.#reload(config));
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
    await this.#egress.configure(config).catch(() => {});
    await this.#changeServices(config);
    this.#changeGateways(old, config);
    try {
      await untilAllReady(this.gateways, this.#generation);
    } finally {
      await this.#removeServices(config);
      this.#certificates.watch(config);
    }
    return this.#report(changes);
  }

  async #changeServices(config: Config): Promise<void> {
    for (const service of config.services) {
      const driver = this.drivers.get(service.name);
      if (!driver) this.#addDriver(service);
      else if (driver.service !== service) driver.update(service);
      if (!this.drivers.get(service.name)?.instance) this.#store.prepare(service);
    }
  }

  /** In one step, so that no gateway starts in between with sockets that are closed. */
  #changeGateways(old: Config, config: Config): void {
    const gone = old.gateways.filter(
      (gateway) => !config.gateways.some((next) => sameProcess(gateway, next)),
    );
    for (const { name } of gone) {
      const link = this.#gateways.get(name);
      this.#gateways.delete(name);
      if (link) this.#retire(link);
    }
    const closed = new Set(this.#listeners.retain(config.listeners));
    for (const gateway of config.gateways) {
      const link = this.#gateways.get(gateway.name);
      if (!link) {
        this.#createGateway(config, gateway).startOrRetry();
        continue;
      }
      const before = old.gateways.find(({ name }) => name === gateway.name)?.listeners ?? [];
      this.#share(config, gateway, link);
      for (const name of before) if (!gateway.listeners.includes(name)) link.unlisten(name);
      for (const name of gateway.listeners) {
        const sockets = this.#listeners.of(name);
        const isSame =
          before.includes(name) && !closed.has(name) && sameListener(old, config, name);
        if (isSame) continue;
        if (before.includes(name)) link.unlisten(name);
        link.listen(name, sockets);
      }
    }
  }

  #retire(link: GatewayLink): void {
    this.#retired.add(link);
    void link.drain(AbortSignal.timeout(RETIRE_MS)).then(() => this.#retired.delete(link));
  }

  async #removeServices(config: Config): Promise<void> {
    const kept = new Set(config.services.map(({ name }) => name));
    for (const [name, driver] of this.drivers) {
      if (kept.has(name)) continue;
      await driver.stop('taken out of the config');
      this.drivers.delete(name);
      await this.outputs.get(name)?.finish();
      this.outputs.delete(name);
      this.#store.drop(name);
      this.#egress.forget(name);
    }
  }

  #report(changes: ReturnType<typeof diffConfigs>): ReloadReport {
    const isAwake = (name: string) => Boolean(this.drivers.get(name)?.instance);
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
        for (const gateway of this.#config.gateways) {
          const link = this.#gateways.get(gateway.name);
          if (link) this.#share(this.#config, gateway, link);
        }
        this.settings.log.info({ event: 'certificates' }, 'certificates were read again');
      } catch (error) {
        this.settings.log.error(`certificates stay as they were: ${messageOf(error)}`);
      }
    });
    await this.#changing;
  }

  /** Drains the gateways until `drainUntil`, then stops everything, from `hurry` on by force; nothing is left when it resolves. */
  async stop(drainUntil: AbortSignal, hurry: AbortSignal): Promise<void> {
    this.#isClosing = true;
    await this.#changing;
    this.#certificates.close();
    await Promise.all(this.gateways.map((gateway) => gateway.drain(drainUntil)));
    await Promise.all([...this.#retired].map((gateway) => gateway.close()));
    this.#listeners.close();
    this.#metrics.close();
    const drivers = [...this.drivers.values()];
    await Promise.all(drivers.map((driver) => driver.stop('rouse stops', hurry)));
    await this.#store.close();
    await this.#egress.close();
    await Promise.all([...this.outputs.values()].map((output) => output.finish()));
    await this.machine.close();
  }
}
