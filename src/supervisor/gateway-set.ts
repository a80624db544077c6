import type { Logger } from '../base/log.js';
import type { Config, GatewaySettings } from '../config/model.js';
import { sameListener, sameProcess } from './config-changes.js';
import { GatewayLink, untilAllReady } from './gateway-link.js';
import { type GatewayProgramSettings, gatewayProgram } from './gateway-program.js';
import { lanesOf, shareFor } from './gateway-share.js';
import type { Identities } from './identities.js';
import { switchable } from './instance-factory.js';
import type { BoundSocket } from './listener-sockets.js';
import type { Machine } from './machine.js';
import type { ReachListener } from './reach.js';
import type { ServiceDriver } from './service-driver.js';
import type { TrafficCounters } from './traffic-counters.js';

export interface GatewaySetSettings {
  readonly program: GatewayProgramSettings;
  readonly machine: Machine;
  readonly identities: Identities;
  readonly counters: TrafficCounters;
  readonly renderMetrics: () => Promise<string>;
  readonly drivers: ReadonlyMap<string, ServiceDriver>;
  /** Null for those that nobody may wake. */
  readonly driverFor: (service: string) => ServiceDriver | null;
  /** The sockets of a listener as they are now. */
  readonly socketsOf: (listener: string) => readonly BoundSocket[];
  /** Where services reach each other: the first gateway's. */
  readonly reachSockets: () => ReadonlyMap<string, readonly BoundSocket[]>;
  /** The first gateway serves metrics on it. */
  readonly metricsFd: () => number | null;
  readonly log: Logger;
}

/** What clients are answered when their service has ended may take that long. */
const LAST_WORDS_MS = 1000;

/** The gateways: those of the config, and replaced ones that end their connections yet. */
export class GatewaySet implements ReachListener {
  readonly #current = new Map<string, GatewayLink>();
  readonly #retired = new Set<GatewayLink>();
  /** The config's first: services of `reach` are accepted for by it, and it serves metrics. */
  #first = '';

  constructor(private readonly settings: GatewaySetSettings) {}

  /** Those of the config. */
  get current(): readonly GatewayLink[] {
    return [...this.#current.values()];
  }

  /** Everyone who may have leases and connections. */
  get #all(): readonly GatewayLink[] {
    return [...this.current, ...this.#retired];
  }

  /** Rejects with a `RouseError` where one can't be started, or is never ready. */
  async start(config: Config, generation: number): Promise<void> {
    this.#first = config.gateways[0]?.name ?? '';
    const links = config.gateways.map((gateway) => this.#create(config, gateway, generation));
    await Promise.all(links.map((link) => link.start()));
    await this.untilReady(generation);
  }

  /** Resolves when all take connections for a generation of the config. Rejects with a `RouseError`. */
  untilReady(generation: number): Promise<void> {
    return untilAllReady(this.current, generation);
  }

  /** The caller starts it. */
  #create(config: Config, gateway: GatewaySettings, generation: number): GatewayLink {
    const { settings } = this;
    const { machine, identities } = settings;
    const isFirst = gateway.name === this.#first;
    const identity = identities.resolve({
      name: `gateway:${gateway.name}`,
      user: null,
      group: null,
      groups: [],
    });
    const link = new GatewayLink({
      name: gateway.name,
      launcher: machine.launchers,
      lanes: lanesOf(gateway),
      buildVps: () => machine.isolation.buildGatewayVps(gateway.name, gateway.cpus),
      program: {
        ...gatewayProgram(settings.program, gateway),
        identity: switchable(identity),
        cpus: gateway.cpus,
      },
      log: settings.log,
      logFd: settings.program.logFd,
      counters: settings.counters,
      renderMetrics: settings.renderMetrics,
      metricsFd: isFirst ? settings.metricsFd() : null,
      driverFor: settings.driverFor,
      drivers: () => settings.drivers.values(),
    });
    this.#current.set(gateway.name, link);
    link.configure(shareFor(config, gateway, generation));
    for (const name of gateway.listeners) link.listen(name, settings.socketsOf(name));
    if (isFirst) for (const [name, sockets] of settings.reachSockets()) link.listen(name, sockets);
    return link;
  }

  /**
   * Puts a new config into effect; `closeSockets` closes those that it has no listeners for and
   * returns of which listeners. In one step, so that no gateway starts in between with sockets that
   * are closed.
   */
  change(
    old: Config,
    config: Config,
    generation: number,
    closeSockets: () => readonly string[],
  ): void {
    this.#first = config.gateways[0]?.name ?? '';
    for (const gateway of old.gateways) {
      if (config.gateways.some((next) => sameProcess(gateway, next))) continue;
      const link = this.#current.get(gateway.name);
      this.#current.delete(gateway.name);
      if (link) void this.#retire(link, config.drainTimeoutMs);
    }
    const closed = new Set(closeSockets());
    for (const gateway of config.gateways) {
      const link = this.#current.get(gateway.name);
      if (!link) {
        this.#create(config, gateway, generation).startOrRetry();
        continue;
      }
      link.configure(shareFor(config, gateway, generation));
      const before = old.gateways.find(({ name }) => name === gateway.name)?.listeners ?? [];
      for (const name of before) if (!gateway.listeners.includes(name)) link.unlisten(name);
      for (const name of gateway.listeners) {
        const isKept = before.includes(name);
        if (isKept && !closed.has(name) && sameListener(old, config, name)) continue;
        if (isKept) link.unlisten(name);
        link.listen(name, this.settings.socketsOf(name));
      }
    }
  }

  /** The same config once more, its certificates read again. Throws where one can't be read. */
  configure(config: Config, generation: number): void {
    for (const gateway of config.gateways) {
      this.#current.get(gateway.name)?.configure(shareFor(config, gateway, generation));
    }
  }

  async #retire(link: GatewayLink, drainTimeoutMs: number): Promise<void> {
    this.#retired.add(link);
    await link.drain(AbortSignal.timeout(drainTimeoutMs), false);
    await link.close();
    this.#retired.delete(link);
  }

  listen(name: string, sockets: readonly BoundSocket[]): void {
    this.#current.get(this.#first)?.listen(name, sockets);
  }

  unlisten(name: string): void {
    this.#current.get(this.#first)?.unlisten(name);
  }

  instanceGone(service: string, instance: number): void {
    for (const gateway of this.#all) gateway.instanceGone(service, instance);
  }

  /** See `GatewayLink.yieldLease`. */
  async yieldLease(service: string): Promise<void> {
    await Promise.all(this.#all.map((gateway) => gateway.yieldLease(service)));
  }

  /** Resolves when the counters are those of now (or a gateway doesn't answer in time). */
  async refreshCounters(): Promise<void> {
    await Promise.all(this.#all.map((gateway) => gateway.refreshCounters()));
  }

  /** The lane that has this lease, for those who want to say whose it is. */
  laneOf(holder: object): GatewayLink['lanes'][number] | undefined {
    return this.#all.flatMap(({ lanes }) => lanes).find((lane) => lane === holder);
  }

  /** Lets all end their clients' connections, until the signal; services still reach each other. */
  async drain(signal: AbortSignal): Promise<void> {
    await Promise.all(this.current.map((gateway) => gateway.drain(signal, true)));
  }

  /** Ends all, when what is open (the services behind it have ended) was told so. */
  async close(): Promise<void> {
    const lastWords = AbortSignal.timeout(LAST_WORDS_MS);
    await Promise.all(this.#all.map((gateway) => gateway.drain(lastWords, false)));
    await Promise.all(this.#all.map((gateway) => gateway.close()));
  }
}
