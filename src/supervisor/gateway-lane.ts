import { RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Underway } from '../base/underway.js';
import { Channel } from '../ipc/channel.js';
import { CURRENT_DIALECT, type Dialect, dialectOf } from '../ipc/dialects.js';
import type { ToGateway, ToSupervisor } from '../ipc/messages.js';
import { PROTOCOL_VERSION } from '../ipc/protocol-version.js';
import { closeFd, createMemfd, duplicateFd } from '../sys/descriptors.js';
import { PACKET_LIMIT_FDS } from '../sys/fd-passing.js';
import { GatewayRequests } from './gateway-requests.js';
import type { LaneShare } from './lane-share.js';
import type { LeaseHolder, Waiter, WaiterState } from './lease-book.js';
import type { BoundSocket } from './listener-sockets.js';
import { Pulse } from './pulse.js';
import type { ServiceDriver } from './service-driver.js';
import type { TrafficCounters } from './traffic-counters.js';

const REPORT_TIMEOUT_MS = 1000;

/** What an upgraded supervisor goes on with. */
export interface LaneState {
  /** Of its control channel. */
  readonly fd: number;
  readonly epoch: string;
  /** As it greeted; null: it hasn't yet. */
  readonly version: number | null;
  readonly readyGeneration: number;
  readonly hasDrained: boolean;
  readonly listeners: readonly string[];
  readonly services: readonly string[];
  readonly formerServices: readonly string[];
  /** Asked for, and not answered yet. */
  readonly metrics: readonly number[];
}

export interface GatewayLaneSettings {
  /** The gateway's name. */
  readonly name: string;
  /** Names this lane of this life of the gateway: its counters start at 0. */
  readonly epoch: string;
  readonly log: Logger;
  readonly counters: TrafficCounters;
  readonly driverFor: (service: string) => ServiceDriver | null;
  readonly underway: Underway;
  /** For those who collect them, by way of this gateway. */
  readonly renderMetrics: () => Promise<string>;
  /** It is ready for another generation, or has drained. */
  readonly onProgress: () => void;
  /** The channel ended; a failure: it broke the rules. */
  readonly onEnd: (failure: RouseError | null) => void;
}

/** One thread of a gateway with an engine of its own, as the supervisor has it: its channel, its share, its leases. */
export class GatewayLane implements LeaseHolder {
  readonly #channel: Channel<ToSupervisor, unknown>;
  readonly pulse = new Pulse(() => this.#send({ type: 'beat' }));
  readonly #reports = new Map<number, () => void>();
  readonly #requests: GatewayRequests;
  #version: number | null = null;
  #dialect: Dialect = CURRENT_DIALECT;
  #share: Pick<LaneShare, 'listeners' | 'services'> | null = null;
  /** What a reload took away: it may have connections of these yet. */
  readonly #former = new Set<string>();
  #rendering: Promise<string> | null = null;
  /** Asked for, and not answered yet. */
  readonly #metrics = new Set<number>();
  #lastReportId = 0;
  /** The last generation of the config that it takes connections for. */
  readyGeneration = -1;
  hasDrained = false;

  /** `fd`: this end of its control channel, which the lane owns. */
  constructor(
    private readonly fd: number,
    private readonly settings: GatewayLaneSettings,
  ) {
    const { driverFor, log, name, onEnd, underway } = settings;
    this.#channel = new Channel<ToSupervisor, unknown>(fd, {
      parse: (value) => this.#dialect.parse(value),
      onMessage: (message, fds) => this.#onMessage(message, fds),
      onEnd,
    });
    this.#requests = new GatewayRequests({
      holder: this,
      driverFor: (service) => (this.#allows(service) ? driverFor(service) : null),
      anyDriver: (service) => (this.#knows(service) ? driverFor(service) : null),
      send: (message, fds = []) => this.#send(message, fds),
      underway,
      log: log.child({ gateway: name }),
    });
  }

  /** Throws `protocol` where its gateway speaks what isn't spoken any more. */
  static checkSpoken({ version }: LaneState): void {
    if (version !== null) spoken(version);
  }

  /** Goes on with the lane of an earlier self. */
  static restore(state: LaneState, settings: GatewayLaneSettings): GatewayLane {
    const lane = new GatewayLane(state.fd, settings);
    if (state.version !== null) lane.#setVersion(state.version);
    lane.readyGeneration = state.readyGeneration;
    lane.hasDrained = state.hasDrained;
    lane.#share = { listeners: new Set(state.listeners), services: new Set(state.services) };
    for (const service of state.formerServices) lane.#former.add(service);
    for (const id of state.metrics) void lane.#sendMetrics(id);
    return lane;
  }

  state(): LaneState {
    return {
      fd: this.fd,
      epoch: this.epoch,
      version: this.#version,
      readyGeneration: this.readyGeneration,
      hasDrained: this.hasDrained,
      listeners: [...(this.#share?.listeners ?? [])],
      services: [...(this.#share?.services ?? [])],
      formerServices: [...this.#former],
      metrics: [...this.#metrics],
    };
  }

  /** See `Channel`: what it says waits. */
  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  get isFlushed(): boolean {
    return this.#channel.isFlushed;
  }

  /** Resolves when all that it was told has left this process. */
  flushed(): Promise<void> {
    return this.#channel.flushed();
  }

  /** One that waited with an earlier self. */
  restoreWaiter(driver: ServiceDriver, state: WaiterState): Waiter | null {
    return this.#requests.restoreWaiter(driver, state);
  }

  get key(): string {
    return `lane ${this.epoch}`;
  }

  get name(): string {
    return this.settings.name;
  }

  get epoch(): string {
    return this.settings.epoch;
  }

  #allows(service: string): boolean {
    return this.#share?.services.has(service) ?? false;
  }

  #knows(service: string): boolean {
    return this.#allows(service) || this.#former.has(service);
  }

  #onMessage(message: ToSupervisor, fds: number[]): void {
    const requests = this.#requests;
    const wanted = message.type === 'hand-over' ? 1 : 0;
    if (fds.length !== wanted) {
      for (const fd of fds) closeFd(fd);
      throw new RouseError(
        'protocol',
        `${message.type} came with ${fds.length} descriptors instead of ${wanted}`,
      );
    }
    switch (message.type) {
      case 'hello':
        this.#setVersion(message.version);
        this.pulse.answer();
        break;
      case 'ready':
        this.readyGeneration = message.generation;
        this.settings.onProgress();
        break;
      case 'acquire':
        requests.acquire(message);
        break;
      case 'release':
        requests.release(message);
        break;
      case 'sockets':
        requests.sockets(message);
        break;
      case 'dial':
        requests.dial(message);
        break;
      case 'hand-over':
        requests.handOver(message, fds[0] as number);
        break;
      case 'report':
        this.#onReport(message);
        break;
      case 'metrics':
        void this.#sendMetrics(message.id);
        break;
      case 'drained':
        this.hasDrained = true;
        this.settings.onProgress();
        break;
      case 'beat':
        this.pulse.answer();
        break;
    }
  }

  #setVersion(version: number): void {
    this.#dialect = spoken(version);
    this.#version = version;
  }

  /** The descriptors are its to close. */
  #send(message: ToGateway, fds: readonly number[] = []): void {
    const rendered = this.#dialect.render(message);
    if (rendered !== null) this.#channel.send(rendered, fds, { closeAfter: true });
    else for (const fd of fds) closeFd(fd);
  }

  /** However often it asks, one is rendered at a time. */
  async #sendMetrics(id: number): Promise<void> {
    this.#metrics.add(id);
    this.#rendering ??= this.settings
      .renderMetrics()
      .catch(() => '')
      .finally(() => {
        this.#rendering = null;
      });
    const text = await this.#rendering;
    this.#metrics.delete(id);
    try {
      const fd = createMemfd('rouse-metrics', text);
      this.#send({ type: 'metrics', id }, [fd]);
    } catch {
      // No descriptors left: the answer is that there are none.
      this.#send({ type: 'metrics', id });
    }
  }

  /** The socket stays the caller's. */
  listenForMetrics(fd: number): void {
    this.#send({ type: 'listen-metrics' }, [duplicateFd(fd)]);
  }

  #onReport(message: Extract<ToSupervisor, { type: 'report' }>): void {
    const listeners = message.listeners.filter(({ name }) => this.#share?.listeners.has(name));
    const services = message.services.filter(({ name }) => this.#allows(name));
    this.settings.counters.report(this.epoch, services, listeners);
    if (message.id !== null && !message.more) this.#reports.get(message.id)?.();
  }

  /** Its share of the config, from now on. Listeners that it doesn't have any more are to be taken away first. */
  configure(share: LaneShare): void {
    for (const name of this.#share?.services ?? [])
      if (!share.services.has(name)) this.#former.add(name);
    this.#share = share;
    const fd = createMemfd('rouse-config', share.encoded);
    this.#send({ type: 'configure', generation: share.generation }, [fd]);
  }

  /** The sockets stay the caller's. */
  listen(listener: string, sockets: readonly BoundSocket[]): void {
    for (let from = 0; from < sockets.length; from += PACKET_LIMIT_FDS) {
      const part = sockets.slice(from, from + PACKET_LIMIT_FDS);
      const last = from + PACKET_LIMIT_FDS >= sockets.length;
      this.#send(
        { type: 'listen', listener, addresses: part.map(({ address }) => address), last },
        part.map(({ fd }) => duplicateFd(fd)),
      );
    }
  }

  unlisten(listener: string): void {
    this.#send({ type: 'unlisten', listener });
  }

  instanceGone(service: string, instance: number): void {
    if (this.#knows(service)) this.#send({ type: 'gone', service, instance });
  }

  /** See `GatewayLink.yieldLease`. */
  async yieldLease(service: string): Promise<void> {
    if (this.#knows(service)) this.#send({ type: 'yield', service });
    await this.refreshCounters();
  }

  /** Resolves when the counters are those of now (or the gateway doesn't answer in time). */
  async refreshCounters(): Promise<void> {
    this.#lastReportId += 1;
    const id = this.#lastReportId;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => settle(), REPORT_TIMEOUT_MS);
      const settle = () => {
        clearTimeout(timer);
        this.#reports.delete(id);
        resolve();
      };
      this.#reports.set(id, settle);
      this.#send({ type: 'report', id });
    });
  }

  /** See `ToGateway`. */
  drain(keepsReach: boolean, keepsIdle: boolean): void {
    this.hasDrained = false;
    this.#send({ type: 'drain', keepsReach, keepsIdle });
  }

  /** The gateway has ended: nobody will answer any more. */
  close(): void {
    this.#channel.close();
    this.settings.counters.end(this.epoch);
    for (const settle of [...this.#reports.values()]) settle();
  }
}

/** Throws a `RouseError` of code `protocol` where this version isn't spoken. */
function spoken(version: number): Dialect {
  const dialect = dialectOf(version);
  if (dialect) return dialect;
  throw new RouseError(
    'protocol',
    `a gateway of protocol version ${version}, which a rouse of version ${PROTOCOL_VERSION} does not speak`,
  );
}
