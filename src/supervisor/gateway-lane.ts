import { RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { Channel } from '../ipc/channel.js';
import { type ToGateway, type ToSupervisor, toSupervisorSchema } from '../ipc/messages.js';
import { PROTOCOL_VERSION } from '../ipc/protocol-version.js';
import { closeFd, createMemfd, duplicateFd } from '../sys/descriptors.js';
import { PACKET_LIMIT_FDS } from '../sys/fd-passing.js';
import { GatewayRequests } from './gateway-requests.js';
import type { LaneShare } from './lane-share.js';
import type { LeaseHolder } from './lease-book.js';
import type { BoundSocket } from './listener-sockets.js';
import { Pulse } from './pulse.js';
import type { ServiceDriver } from './service-driver.js';
import type { TrafficCounters } from './traffic-counters.js';

const REPORT_TIMEOUT_MS = 1000;

export interface GatewayLaneSettings {
  /** The gateway's name. */
  readonly name: string;
  /** Names this lane of this life of the gateway: its counters start at 0. */
  readonly epoch: string;
  readonly log: Logger;
  readonly counters: TrafficCounters;
  readonly driverFor: (service: string) => ServiceDriver | null;
  /** For those who collect them, by way of this gateway. */
  readonly renderMetrics: () => Promise<string>;
  /** It is ready for another generation, or has drained. */
  readonly onProgress: () => void;
  /** The channel ended; a failure: it broke the rules. */
  readonly onEnd: (failure: RouseError | null) => void;
}

/** One thread of a gateway with an engine of its own, as the supervisor has it: its channel, its share, its leases. */
export class GatewayLane implements LeaseHolder {
  readonly #channel: Channel<ToSupervisor, ToGateway>;
  readonly pulse = new Pulse(() => this.#channel.send({ type: 'beat' }));
  readonly #reports = new Map<number, () => void>();
  #share: LaneShare | null = null;
  /** What a reload took away: it may have connections of these yet. */
  readonly #former = new Set<string>();
  #rendering: Promise<string> | null = null;
  #lastReportId = 0;
  /** The last generation of the config that it takes connections for. */
  readyGeneration = -1;
  hasDrained = false;

  /** `fd`: this end of its control channel, which the lane owns. */
  constructor(
    fd: number,
    private readonly settings: GatewayLaneSettings,
  ) {
    const { driverFor, log, name, onEnd } = settings;
    this.#channel = new Channel<ToSupervisor, ToGateway>(fd, {
      parse: (value) => toSupervisorSchema.parse(value),
      onMessage: (message, fds) => this.#onMessage(requests, message, fds),
      onEnd,
    });
    const requests = new GatewayRequests({
      holder: this,
      driverFor: (service) => (this.#allows(service) ? driverFor(service) : null),
      anyDriver: (service) => (this.#knows(service) ? driverFor(service) : null),
      send: (message, fds = []) => this.#channel.send(message, fds, { closeAfter: true }),
      log: log.child({ gateway: name }),
    });
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

  #onMessage(requests: GatewayRequests, message: ToSupervisor, fds: number[]): void {
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
        if (message.version !== PROTOCOL_VERSION) {
          throw new RouseError(
            'protocol',
            `a gateway of protocol version ${message.version} instead of ${PROTOCOL_VERSION}`,
          );
        }
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
        void requests.dial(message);
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

  /** However often it asks, one is rendered at a time. */
  async #sendMetrics(id: number): Promise<void> {
    this.#rendering ??= this.settings
      .renderMetrics()
      .catch(() => '')
      .finally(() => {
        this.#rendering = null;
      });
    const text = await this.#rendering;
    try {
      const fd = createMemfd('rouse-metrics', text);
      this.#channel.send({ type: 'metrics', id }, [fd], { closeAfter: true });
    } catch {
      // No descriptors left: the answer is that there are none.
      this.#channel.send({ type: 'metrics', id });
    }
  }

  /** The socket stays the caller's. */
  listenForMetrics(fd: number): void {
    this.#channel.send({ type: 'listen-metrics' }, [duplicateFd(fd)], { closeAfter: true });
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
    this.#channel.send({ type: 'configure', generation: share.generation }, [fd], {
      closeAfter: true,
    });
  }

  /** The sockets stay the caller's. */
  listen(listener: string, sockets: readonly BoundSocket[]): void {
    for (let from = 0; from < sockets.length; from += PACKET_LIMIT_FDS) {
      const part = sockets.slice(from, from + PACKET_LIMIT_FDS);
      const last = from + PACKET_LIMIT_FDS >= sockets.length;
      this.#channel.send(
        { type: 'listen', listener, addresses: part.map(({ address }) => address), last },
        part.map(({ fd }) => duplicateFd(fd)),
        { closeAfter: true },
      );
    }
  }

  unlisten(listener: string): void {
    this.#channel.send({ type: 'unlisten', listener });
  }

  instanceGone(service: string, instance: number): void {
    if (this.#knows(service)) this.#channel.send({ type: 'gone', service, instance });
  }

  /** See `GatewayLink.yieldLease`. */
  async yieldLease(service: string): Promise<void> {
    if (this.#knows(service)) this.#channel.send({ type: 'yield', service });
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
      this.#channel.send({ type: 'report', id });
    });
  }

  drain(keepsReach: boolean): void {
    this.hasDrained = false;
    this.#channel.send({ type: 'drain', keepsReach });
  }

  /** The gateway has ended: nobody will answer any more. */
  close(): void {
    this.#channel.close();
    this.settings.counters.end(this.epoch);
    for (const settle of [...this.#reports.values()]) settle();
  }
}
