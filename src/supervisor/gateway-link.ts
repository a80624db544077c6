import { Backoff } from '../base/backoff.js';
import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { closeFd } from '../sys/descriptors.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import type { ChildProcessHandle } from '../sys/processes.js';
import { createSocketPair } from '../sys/sockets.js';
import { describeExit } from './describe-exit.js';
import { GatewayLane } from './gateway-lane.js';
import { FIRST_CONTROL_FD } from './gateway-program.js';
import type { Watched } from './health-check.js';
import type { LaneShare } from './lane-share.js';
import type { Launchers } from './launchers.js';
import type { BoundSocket } from './listener-sockets.js';
import type { ServiceDriver } from './service-driver.js';
import type { TrafficCounters } from './traffic-counters.js';
import type { Vps } from './vps.js';

const BACKOFF = { firstMs: 100, maxMs: 10_000, jitter: 0.25 };
const HEALTHY_MS = 5000;
/** A gateway that was never ready is given up after that many starts. */
const HOPELESS_STARTS = 3;
const SIGKILL = 9;

/** Which engine a lane runs; that says which protocols it takes. */
export interface LanePlan {
  readonly engine: 'native' | 'node';
}

/** A gateway's share of the config, lane by lane. */
export interface GatewayShare {
  readonly generation: number;
  /** As many as there are lanes. */
  readonly lanes: readonly LaneShare[];
}

export interface GatewayLinkSettings {
  readonly name: string;
  readonly launcher: Launchers;
  /** The first is the main thread's. */
  readonly lanes: readonly LanePlan[];
  readonly buildVps: () => Promise<Vps>;
  readonly program: Pick<
    LaunchRequest,
    'executable' | 'arguments' | 'environment' | 'identity' | 'cpus'
  >;
  readonly log: Logger;
  readonly counters: TrafficCounters;
  readonly renderMetrics: () => Promise<string>;
  /** Passed to it, for what it logs; null: it needs none. */
  readonly logFd: number | null;
  /** Socket on which this gateway serves metrics. */
  readonly metricsFd: number | null;
  readonly driverFor: (service: string) => ServiceDriver | null;
  /** All drivers, for what ends with the gateway. */
  readonly drivers: () => Iterable<ServiceDriver>;
}

interface Life {
  readonly lanes: readonly GatewayLane[];
  readonly child: ChildProcessHandle;
  readonly vps: Vps;
  readonly startedAtMs: number;
}

/** One gateway as the supervisor has it: its process, its lanes, its share of the config, its successor when it dies. */
export class GatewayLink implements Watched {
  readonly #backoff = new Backoff(BACKOFF);
  readonly #listening = new Map<string, readonly BoundSocket[]>();
  #share: GatewayShare | null = null;
  #life: Life | null = null;
  #restart: NodeJS.Timeout | null = null;
  #isClosed = false;
  #isDraining = false;
  #lives = 0;
  #lastEnd = '';
  readonly #onProgress = new Set<() => void>();

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

  /** Those of the process that runs now. */
  get lanes(): readonly GatewayLane[] {
    return this.#life?.lanes ?? [];
  }

  /** Starts the process. Rejects where it can't be started at all. */
  async start(): Promise<void> {
    const { buildVps, launcher, lanes, logFd, program } = this.settings;
    this.#lives += 1;
    const vps = await buildVps();
    const pairs = lanes.map(() => createSocketPair('seqpacket'));
    let child: ChildProcessHandle;
    try {
      child = await launcher.launch({
        ...program,
        directory: '/',
        descriptors: [
          [0, 0],
          [1, 1],
          [2, 2],
          ...pairs.map(([, theirs], index) => [theirs, FIRST_CONTROL_FD + index] as const),
          ...(logFd === null ? [] : [[logFd, FIRST_CONTROL_FD + lanes.length] as const]),
        ],
        ...vps.target,
        umask: 0o077,
      });
    } catch (error) {
      for (const [ours] of pairs) closeFd(ours);
      await vps.dispose();
      throw error;
    } finally {
      for (const [, theirs] of pairs) closeFd(theirs);
    }
    const adopted = vps.adopt(
      child.pid,
      () => [child.pid],
      () => false,
    );
    adopted.catch(() => child.signal(SIGKILL));
    const fds = pairs.map(([ours]) => ours);
    if (this.#isClosed || this.#isDraining) {
      child.signal(SIGKILL);
      for (const fd of fds) closeFd(fd);
      await vps.dispose();
      return;
    }
    try {
      this.#adopt(child, vps, fds);
    } catch (error) {
      child.signal(SIGKILL);
      throw error;
    }
  }

  #adopt(child: ChildProcessHandle, vps: Vps, fds: readonly number[]): void {
    const { counters, driverFor, log, metricsFd, renderMetrics } = this.settings;
    const lanes = fds.map(
      (fd, index) =>
        new GatewayLane(fd, {
          name: this.name,
          epoch: `${this.name}#${this.#lives}/${index}`,
          log,
          counters,
          driverFor,
          renderMetrics,
          onProgress: () => this.#progress(),
          onEnd: (failure) => {
            if (failure)
              log.error({ gateway: this.name }, `${failure.message}: the gateway is replaced`);
            child.signal(SIGKILL);
          },
        }),
    );
    const life = { lanes, child, vps, startedAtMs: performance.now() };
    this.#life = life;
    if (metricsFd !== null) lanes[0]?.listenForMetrics(metricsFd);
    void child.exited.then((exit) => this.#onExit(life, describeExit(exit)));
    if (this.#share) this.#sendShare(this.#share);
    for (const [name, sockets] of this.#listening) this.#sendSockets(name, sockets);
  }

  #progress(): void {
    for (const resume of [...this.#onProgress]) resume();
  }

  #onExit(life: Life, how: string): void {
    void life.vps.dispose();
    for (const lane of life.lanes) {
      lane.close();
      for (const driver of this.settings.drivers()) driver.dropHolder(lane);
    }
    if (this.#life !== life) return;
    this.#life = null;
    this.#lastEnd = how;
    this.#progress();
    if (this.#isClosed || this.#isDraining) return;
    if (performance.now() - life.startedAtMs >= HEALTHY_MS) this.#backoff.reset();
    const delayMs = this.#backoff.failures === 0 ? 0 : this.#backoff.next();
    if (this.#backoff.failures === 0) this.#backoff.next();
    const when = delayMs > 0 ? ` in ${delayMs} ms` : '';
    this.settings.log.error(
      { gateway: this.name },
      `the gateway ${how}; its successor starts${when}`,
    );
    this.#scheduleRestart(delayMs);
  }

  /** As `start`; what fails is tried again as after a crash. */
  startOrRetry(): void {
    this.#scheduleRestart(0);
  }

  #scheduleRestart(delayMs: number): void {
    this.#restart = setTimeout(() => {
      if (this.#isClosed || this.#isDraining) return;
      this.start().catch((error) => {
        const nextMs = this.#backoff.next();
        this.settings.log.error(
          { gateway: this.name },
          `${messageOf(error)}; next try in ${nextMs} ms`,
        );
        this.#scheduleRestart(nextMs);
      });
    }, delayMs);
  }

  /** Its share of the config, from now on. Listeners that it doesn't have any more are to be taken away first. */
  configure(share: GatewayShare): void {
    this.#share = share;
    this.#sendShare(share);
  }

  #sendShare(share: GatewayShare): void {
    for (const [index, lane] of this.lanes.entries())
      lane.configure(share.lanes[index] as LaneShare);
  }

  listen(name: string, sockets: readonly BoundSocket[]): void {
    this.#listening.set(name, sockets);
    this.#sendSockets(name, sockets);
  }

  #sendSockets(listener: string, sockets: readonly BoundSocket[]): void {
    for (const lane of this.#lanesOf(listener)) lane.listen(listener, sockets);
  }

  #lanesOf(listener: string): GatewayLane[] {
    return this.lanes.filter((_, index) => this.#share?.lanes[index]?.listeners.has(listener));
  }

  unlisten(name: string): void {
    this.#listening.delete(name);
    for (const lane of this.lanes) lane.unlisten(name);
  }

  instanceGone(service: string, instance: number): void {
    for (const lane of this.lanes) lane.instanceGone(service, instance);
  }

  /** A gateway of which one thread hangs serves only half of what it should: it is killed, and replaced. */
  beat(counts: boolean): void {
    const wasHung = this.isHung;
    for (const lane of this.lanes) lane.pulse.beat(counts);
    const hung = this.lanes.findIndex(({ pulse }) => pulse.isHung);
    if (hung < 0 || wasHung) return;
    const engine = this.settings.lanes[hung]?.engine;
    this.settings.log.error(
      { gateway: this.name, event: 'hung' },
      `a thread of the gateway (${engine} engine) gives no sign of life: the gateway is killed and replaced`,
    );
    this.#life?.child.signal(SIGKILL);
  }

  get isHung(): boolean {
    return this.lanes.some(({ pulse }) => pulse.isHung);
  }

  /** Asks it to let go of a service that it keeps for a moment after the last use. Resolves when it has (or doesn't answer). */
  async yieldLease(service: string): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.yieldLease(service)));
  }

  /** Resolves when the counters are those of now (or the gateway doesn't answer in time). */
  async refreshCounters(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.refreshCounters()));
  }

  /** Resolves when it takes connections on every listener of this generation, or at the signal. Rejects where it never will. */
  async untilReady(generation: number, signal: AbortSignal): Promise<void> {
    const isReady = () =>
      this.#life !== null && this.lanes.every((lane) => lane.readyGeneration >= generation);
    while (!isReady() && !signal.aborted) {
      if (this.#lives > HOPELESS_STARTS && !this.#life) {
        throw new RouseError(
          'system',
          `gateway ${this.name} ${this.#lastEnd} again and again before it was ready`,
        );
      }
      await this.#nextProgress(signal);
    }
  }

  #nextProgress(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        this.#onProgress.delete(resume);
        signal.removeEventListener('abort', resume);
        resolve();
      };
      this.#onProgress.add(resume);
      signal.addEventListener('abort', resume, { once: true });
    });
  }

  /** Lets it end its connections (`keepsReach`: not those of services to each other), until the signal. */
  async drain(signal: AbortSignal, keepsReach: boolean): Promise<void> {
    this.#isDraining = true;
    for (const lane of this.lanes) lane.drain(keepsReach);
    while (!signal.aborted && this.lanes.some((lane) => !lane.hasDrained))
      await this.#nextProgress(signal);
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

/** The start of gateways, and the change of their listeners, are waited for that long. */
const READY_TIMEOUT_MS = 30_000;

/** Resolves when every gateway takes connections for a generation of the config. Rejects with a `RouseError`. */
export async function untilAllReady(
  gateways: readonly GatewayLink[],
  generation: number,
): Promise<void> {
  const timeout = AbortSignal.timeout(READY_TIMEOUT_MS);
  await Promise.all(gateways.map((gateway) => gateway.untilReady(generation, timeout)));
  if (!timeout.aborted) return;
  const seconds = READY_TIMEOUT_MS / 1000;
  throw new RouseError('system', `a gateway was not ready within ${seconds} s`);
}
