import { once } from 'node:events';
import { Backoff } from '../base/backoff.js';
import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { Channel } from '../ipc/channel.js';
import type { GatewayConfig } from '../ipc/gateway-config.js';
import {
  PROTOCOL_VERSION,
  type ToGateway,
  type ToSupervisor,
  toSupervisorSchema,
} from '../ipc/messages.js';
import { closeFd, createMemfd, duplicateFd } from '../sys/descriptors.js';
import { PACKET_LIMIT_FDS } from '../sys/fd-passing.js';
import type { Launchers } from './launchers.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import type { ChildProcessHandle } from '../sys/processes.js';
import { createSocketPair } from '../sys/sockets.js';
import { GatewayRequests } from './gateway-requests.js';
import { describeExit } from './instance.js';
import type { BoundSocket } from './listener-sockets.js';
import type { LeaseHolder, ServiceDriver } from './service-driver.js';
import type { TrafficCounters } from './traffic-counters.js';
import type { Vps } from './vps.js';

const BACKOFF = { firstMs: 100, maxMs: 10_000, jitter: 0.25 };
const HEALTHY_MS = 5000;
/** A gateway that was never ready is given up after that many starts. */
const HOPELESS_STARTS = 3;
const REPORT_TIMEOUT_MS = 1000;
const CONTROL_FD = 3;
const SIGKILL = 9;

export interface GatewayLinkSettings {
  readonly name: string;
  readonly launcher: Launchers;
  readonly buildVps: () => Promise<Vps>;
  readonly program: Pick<LaunchRequest, 'executable' | 'arguments' | 'environment' | 'identity' | 'cpus'>;
  readonly log: Logger;
  readonly counters: TrafficCounters;
  readonly driverFor: (service: string) => ServiceDriver | null;
  /** All drivers, for what ends with the gateway. */
  readonly drivers: () => Iterable<ServiceDriver>;
}

interface Life {
  readonly epoch: string;
  readonly channel: Channel<ToSupervisor, ToGateway>;
  readonly child: ChildProcessHandle;
  readonly vps: Vps;
  readonly startedAtMs: number;
}

/** One gateway as the supervisor has it: its process, its channel, its share of the config, its successor when it dies. */
export class GatewayLink implements LeaseHolder {
  readonly #backoff = new Backoff(BACKOFF);
  readonly #listening = new Map<string, readonly BoundSocket[]>();
  readonly #reports = new Map<number, () => void>();
  #share: GatewayConfig | null = null;
  #allowed: ReadonlySet<string> = new Set();
  #life: Life | null = null;
  #restart: NodeJS.Timeout | null = null;
  #isClosed = false;
  #lives = 0;
  #lastReportId = 0;
  #readyGeneration = -1;
  #onReady = new Set<() => void>();
  #onDrained: (() => void) | null = null;
  #isDraining = false;
  #lastEnd = '';

  constructor(private readonly settings: GatewayLinkSettings) {}

  get name(): string {
    return this.settings.name;
  }

  get pid(): number | null {
    return this.#life?.child.pid ?? null;
  }

  get restarts(): number {
    return Math.max(0, this.#lives - 1);
  }

  get epoch(): string {
    return `${this.name}#${this.#lives}`;
  }

  /** Starts the process. Rejects where it can't be started at all. */
  async start(): Promise<void> {
    const { launcher, program, settings } = { ...this.settings, settings: this.settings };
    this.#lives += 1;
    const vps = await settings.buildVps();
    const [ours, theirs] = createSocketPair('seqpacket');
    let child: ChildProcessHandle;
    try {
      child = await launcher.launch({
        ...program,
        directory: '/',
        descriptors: [[0, 0], [1, 1], [2, 2], [theirs, CONTROL_FD]],
        ...vps.target,
        umask: 0o077,
      });
    } catch (error) {
      closeFd(ours);
      await vps.dispose();
      throw error;
    } finally {
      closeFd(theirs);
    }
    this.#adopt(child, vps, ours);
  }

  #adopt(child: ChildProcessHandle, vps: Vps, fd: number): void {
    const { log, driverFor } = this.settings;
    const channel: Channel<ToSupervisor, ToGateway> = new Channel<ToSupervisor, ToGateway>(fd, {
      parse: (value) => toSupervisorSchema.parse(value),
      onMessage: (message, fds) => this.#onMessage(requests, message, fds),
      onEnd: (failure) => {
        if (failure) log.error({ gateway: this.name }, `${failure.message}: the gateway is replaced`);
        child.signal(SIGKILL);
      },
    });
    const requests = new GatewayRequests({
      holder: this,
      driverFor: (service) => (this.#allowed.has(service) ? driverFor(service) : null),
      send: (message, fds = []) => channel.send(message, fds, { closeAfter: true }),
      log: log.child({ gateway: this.name }),
    });
    const life = { epoch: this.epoch, channel, child, vps, startedAtMs: performance.now() };
    this.#life = life;
    void child.exited.then((exit) => this.#onExit(life, describeExit(exit)));
    this.#sendAll();
  }

  #sendAll(): void {
    if (!this.#share) return;
    this.#sendShare(this.#share);
    for (const [name, sockets] of this.#listening) this.#sendSockets(name, sockets);
  }

  #onMessage(requests: GatewayRequests, message: ToSupervisor, fds: number[]): void {
    const wanted = message.type === 'hand-over' ? 1 : 0;
    if (fds.length !== wanted) {
      for (const fd of fds) closeFd(fd);
      throw new RouseError('protocol', `${message.type} came with ${fds.length} descriptors instead of ${wanted}`);
    }
    switch (message.type) {
      case 'hello':
        if (message.version !== PROTOCOL_VERSION) {
          throw new RouseError('protocol', `a gateway of protocol version ${message.version} instead of ${PROTOCOL_VERSION}`);
        }
        break;
      case 'ready':
        this.#readyGeneration = message.generation;
        for (const resume of this.#onReady) resume();
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
      case 'drained':
        this.#onDrained?.();
        break;
    }
  }

  #onReport(message: Extract<ToSupervisor, { type: 'report' }>): void {
    const known = this.#share;
    const services = message.services.filter(({ name }) => this.#allowed.has(name));
    const listeners = message.listeners.filter(({ name }) => known?.listeners.some((own) => own.name === name));
    this.settings.counters.report(this.epoch, services, listeners);
    if (message.id !== null && !message.more) this.#reports.get(message.id)?.();
  }

  #onExit(life: Life, how: string): void {
    const { log, counters, drivers } = this.settings;
    life.channel.close();
    void life.vps.dispose();
    counters.end(life.epoch);
    if (this.#life !== life) return;
    this.#life = null;
    this.#lastEnd = how;
    for (const resume of this.#onReady) resume();
    for (const driver of drivers()) driver.dropHolder(this);
    for (const settle of this.#reports.values()) settle();
    this.#onDrained?.();
    if (this.#isClosed || this.#isDraining) return;
    if (performance.now() - life.startedAtMs >= HEALTHY_MS) this.#backoff.reset();
    const delayMs = this.#backoff.failures === 0 ? 0 : this.#backoff.next();
    if (this.#backoff.failures === 0) this.#backoff.next();
    log.error({ gateway: this.name }, `the gateway ${how}; its successor starts${delayMs > 0 ? ` in ${delayMs} ms` : ''}`);
    this.#scheduleRestart(delayMs);
  }

  #scheduleRestart(delayMs: number): void {
    this.#restart = setTimeout(() => {
      if (this.#isClosed) return;
      this.start().catch((error) => {
        const nextMs = this.#backoff.next();
        this.settings.log.error({ gateway: this.name }, `${messageOf(error)}; next try in ${nextMs} ms`);
        this.#scheduleRestart(nextMs);
      });
    }, delayMs);
  }

  /** Its share of the config, from now on. Listeners that it doesn't have any more are to be taken away first. */
  configure(share: GatewayConfig): void {
    this.#share = share;
    this.#allowed = new Set(share.services.map(({ name }) => name));
    if (this.#life) this.#sendShare(share);
  }

  #sendShare(share: GatewayConfig): void {
    const fd = createMemfd('rouse-config', JSON.stringify(share));
    this.#send({ type: 'configure', generation: share.generation }, [fd], true);
  }

  listen(name: string, sockets: readonly BoundSocket[]): void {
    this.#listening.set(name, sockets);
    this.#sendSockets(name, sockets);
  }

  #sendSockets(listener: string, sockets: readonly BoundSocket[]): void {
    for (let from = 0; from < sockets.length; from += PACKET_LIMIT_FDS) {
      const part = sockets.slice(from, from + PACKET_LIMIT_FDS);
      const last = from + PACKET_LIMIT_FDS >= sockets.length;
      this.#send({ type: 'listen', listener, addresses: part.map(({ address }) => address), last }, part.map(({ fd }) => duplicateFd(fd)), true);
    }
  }

  unlisten(name: string): void {
    this.#listening.delete(name);
    this.#send({ type: 'unlisten', listener: name });
  }

  instanceGone(service: string, instance: number): void {
    if (this.#allowed.has(service)) this.#send({ type: 'gone', service, instance });
  }

  /** Asks it to let go of a service that it keeps for a moment after the last use. Resolves when it has (or doesn't answer). */
  async yieldLease(service: string): Promise<void> {
    if (this.#allowed.has(service)) this.#send({ type: 'yield', service });
    await this.refreshCounters();
  }

  #send(message: ToGateway, fds: readonly number[] = [], closeAfter = false): void {
    if (this.#life) this.#life.channel.send(message, fds, { closeAfter });
    else if (closeAfter) for (const fd of fds) closeFd(fd);
  }

  /** Resolves when it takes connections on every listener of this generation, or at the signal. */
  async untilReady(generation: number, signal: AbortSignal): Promise<void> {
    while (this.#readyGeneration < generation && !signal.aborted) {
      if (this.#readyGeneration < 0 && this.#lives > HOPELESS_STARTS) {
        throw new RouseError('system', `gateway ${this.name} ${this.#lastEnd} again and again before it was ready`);
      }
      await new Promise<void>((resolve) => {
        const resume = () => {
          this.#onReady.delete(resume);
          resolve();
        };
        this.#onReady.add(resume);
        signal.addEventListener('abort', resume, { once: true });
      });
    }
  }

  /** Resolves when the counters are those of now (or the gateway doesn't answer in time). */
  async refreshCounters(): Promise<void> {
    if (!this.#life) return;
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

  /** Lets it end its connections, until the signal; then ends it. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#isDraining = true;
    if (this.#life && !signal.aborted) {
      const drained = new Promise<void>((resolve) => {
        this.#onDrained = resolve;
      });
      this.#send({ type: 'drain' });
      await Promise.race([drained, once(signal, 'abort')]);
    }
    await this.close();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#restart) clearTimeout(this.#restart);
    const life = this.#life;
    if (!life) return;
    life.child.signal(SIGKILL);
    await life.child.exited;
    await life.vps.dispose();
  }
}
