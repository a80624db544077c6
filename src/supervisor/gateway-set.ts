import { messageOf } from '../base/errors.js';
import type { Config, GatewaySettings } from '../config/model.js';
import { sameListener, sameProcess } from './config-changes.js';
import type { GatewayLane } from './gateway-lane.js';
import { GatewayLife, type GatewayLifeState, type GatewaySurroundings } from './gateway-life.js';
import { GatewayLink, untilAllReady } from './gateway-link.js';
import { type GatewayProgramSettings, gatewayProgram } from './gateway-program.js';
import { lanesOf, shareFor } from './gateway-share.js';
import type { Watched } from './health-check.js';
import type { Identities } from './identities.js';
import { switchable } from './instance-factory.js';
import type { BoundSocket } from './listener-sockets.js';
import type { Machine } from './machine.js';
import type { ReachListener } from './reach.js';

export interface GatewaySetSettings {
  readonly program: GatewayProgramSettings;
  readonly machine: Machine;
  readonly identities: Identities;
  readonly surroundings: GatewaySurroundings;
  /** The sockets of a listener as they are now. */
  readonly socketsOf: (listener: string) => readonly BoundSocket[];
  /** Where services reach each other: the first gateway's. */
  readonly reachSockets: () => ReadonlyMap<string, readonly BoundSocket[]>;
  /** The first gateway serves metrics on it. */
  readonly metricsFd: () => number | null;
}

/** What an upgraded supervisor goes on with. */
export interface GatewaySetState {
  readonly serial: number;
  readonly restarts: ReadonlyMap<string, number>;
  /** `drainByMs`: by the wall clock; null: it wasn't replaced yet. */
  readonly lives: readonly (GatewayLifeState & { readonly drainByMs: number | null })[];
}

/** What clients are answered when their service has ended may take that long. */
const LAST_WORDS_MS = 1000;

/** The gateways: those of the config, and replaced ones that end their connections yet. */
export class GatewaySet implements ReachListener {
  readonly #current = new Map<string, GatewayLink>();
  /** With the end of their time by the wall clock; null: they serve until their successors do. */
  readonly #retired = new Map<GatewayLife, number | null>();
  #earlierRestarts: ReadonlyMap<string, number> = new Map();
  #serial = 0;
  /** The config's first: services of `reach` are accepted for by it, and it serves metrics. */
  #first = '';

  constructor(private readonly settings: GatewaySetSettings) {}

  /** Those of the config. */
  get current(): readonly GatewayLink[] {
    return [...this.#current.values()];
  }

  /** Every process that may have leases and connections. */
  get #lives(): readonly GatewayLife[] {
    return [...this.current.flatMap(({ life }) => life ?? []), ...this.#retired.keys()];
  }

  get #lanes(): readonly GatewayLane[] {
    return this.#lives.flatMap(({ lanes }) => lanes);
  }

  /** Those that are to give signs of life. */
  get watched(): readonly Watched[] {
    return [...this.current, ...this.#retired.keys()];
  }

  state(): GatewaySetState {
    const lives = this.#lives.map((life) => ({
      ...life.state(),
      drainByMs: this.#retired.get(life) ?? null,
    }));
    const restarts = new Map(this.current.map((link) => [link.name, link.restarts]));
    return { serial: this.#serial, restarts, lives };
  }

  /** Goes on with the processes of an earlier self: they serve until `start` has replaced them. */
  restore({ lives, restarts, serial }: GatewaySetState): void {
    const { surroundings } = this.settings;
    this.#serial = serial;
    this.#earlierRestarts = restarts;
    for (const { drainByMs, ...state } of lives) {
      try {
        const life = GatewayLife.restore(state, surroundings);
        this.#retired.set(life, drainByMs);
        void life.ended.then(() => this.#retired.delete(life));
        if (drainByMs !== null) void this.#drain(life, drainByMs);
      } catch (error) {
        surroundings.log.warn({ gateway: state.name }, `${messageOf(error)}: it is ended`);
      }
    }
  }

  /** What they say waits, for whoever has their channels by then, until `resume`. */
  pause(): void {
    for (const lane of this.#lanes) lane.pause();
  }

  resume(): void {
    for (const lane of this.#lanes) lane.resume();
  }

  /** Whether all that they were told has left this process. */
  get isFlushed(): boolean {
    return this.#lanes.every((lane) => lane.isFlushed);
  }

  /** Resolves when that is so. */
  async flushed(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.flushed()));
  }

  /** By `GatewayLane.key`. */
  findLane(key: string): GatewayLane | null {
    return this.#lanes.find((lane) => lane.key === key) ?? null;
  }

  /** Rejects with a `RouseError` where one can't be started, or is never ready. */
  async start(config: Config, generation: number): Promise<void> {
    this.#first = config.gateways[0]?.name ?? '';
    const links = config.gateways.map((gateway) => this.#create(config, gateway, generation));
    await Promise.all(links.map((link) => link.start()));
    await this.untilReady(generation);
  }

  /** As `start`; what can't be started is tried again and again. */
  async startOrRetry(config: Config, generation: number): Promise<void> {
    this.#first = config.gateways[0]?.name ?? '';
    for (const gateway of config.gateways) this.#create(config, gateway, generation).startOrRetry();
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
      nextSerial: () => {
        this.#serial += 1;
        return this.#serial;
      },
      earlierRestarts: this.#earlierRestarts.get(gateway.name) ?? 0,
      launcher: machine.launchers,
      plans: lanesOf(gateway),
      buildVps: () => machine.isolation.buildGatewayVps(gateway.name, gateway.cpus),
      program: {
        ...gatewayProgram(settings.program, gateway),
        identity: switchable(identity),
        cpus: gateway.cpus,
      },
      openLog: settings.program.openLog,
      surroundings: settings.surroundings,
      metricsFd: isFirst ? settings.metricsFd() : null,
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
      const life = this.#current.get(gateway.name)?.release();
      this.#current.delete(gateway.name);
      if (life) this.#retire(life, config.drainTimeoutMs);
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

  /** Those of an earlier self accept no more: all have successors that are ready. */
  retireEarlier(drainTimeoutMs: number): void {
    for (const [life, drainByMs] of this.#retired) {
      if (drainByMs === null) this.#retire(life, drainTimeoutMs);
    }
  }

  #retire(life: GatewayLife, drainTimeoutMs: number): void {
    const drainByMs = Date.now() + drainTimeoutMs;
    this.#retired.set(life, drainByMs);
    void life.ended.then(() => this.#retired.delete(life));
    void this.#drain(life, drainByMs);
  }

  async #drain(life: GatewayLife, drainByMs: number): Promise<void> {
    const signal = AbortSignal.timeout(Math.max(0, drainByMs - Date.now()));
    await life.drain(signal, { keepsIdle: true });
    await life.end();
  }

  listen(name: string, sockets: readonly BoundSocket[]): void {
    this.#current.get(this.#first)?.listen(name, sockets);
  }

  unlisten(name: string): void {
    this.#current.get(this.#first)?.unlisten(name);
  }

  instanceGone(service: string, instance: number): void {
    for (const lane of this.#lanes) lane.instanceGone(service, instance);
  }

  /** Asks them to let go of a service that they keep for a moment after the last use. Resolves when they have (or don't answer). */
  async yieldLease(service: string): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.yieldLease(service)));
  }

  /** Resolves when the counters are those of now (or a gateway doesn't answer in time). */
  async refreshCounters(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.refreshCounters()));
  }

  /** The lane that has this lease, for those who want to say whose it is. */
  laneOf(holder: object): GatewayLane | undefined {
    return this.#lanes.find((lane) => lane === holder);
  }

  /** Lets all end their clients' connections, until the signal; services still reach each other. */
  async drain(signal: AbortSignal): Promise<void> {
    for (const link of this.current) link.seal();
    const lives = this.current.flatMap(({ life }) => life ?? []);
    await Promise.all(lives.map((life) => life.drain(signal, { keepsReach: true })));
  }

  /** Ends all, when what is open (the services behind it have ended) was told so. */
  async close(): Promise<void> {
    for (const link of this.current) link.seal();
    const lastWords = AbortSignal.timeout(LAST_WORDS_MS);
    await Promise.all(this.#lives.map((life) => life.drain(lastWords)));
    await Promise.all(this.#lives.map((life) => life.end()));
  }
}
