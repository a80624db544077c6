import { Backoff } from '../base/backoff.js';
import { messageOf, RouseError } from '../base/errors.js';
import { describeExit } from './describe-exit.js';
import type { GatewayLane } from './gateway-lane.js';
import { GatewayLife, type GatewayLifeRequest, type GatewaySurroundings } from './gateway-life.js';
import type { Watched } from './health-check.js';
import type { LaneShare } from './lane-share.js';
import type { BoundSocket } from './listener-sockets.js';

const BACKOFF = { firstMs: 100, maxMs: 10_000, jitter: 0.25 };
const HEALTHY_MS = 5000;
/** A gateway that was never ready is given up after that many starts. */
const HOPELESS_STARTS = 3;

/** A gateway's share of the config, lane by lane. */
export interface GatewayShare {
  readonly generation: number;
  /** As many as there are lanes. */
  readonly lanes: readonly LaneShare[];
}

export interface GatewayLinkSettings extends Omit<GatewayLifeRequest, 'serial'> {
  /** A number that no other life of a gateway has. */
  readonly nextSerial: () => number;
  /** How often an earlier self has replaced its process. */
  readonly earlierRestarts: number;
  readonly surroundings: GatewaySurroundings;
  /** Socket on which this gateway serves metrics. */
  readonly metricsFd: number | null;
}

/** One gateway as the supervisor has it: its process, its share of the config, its successor when it dies. */
export class GatewayLink implements Watched {
  readonly #backoff = new Backoff(BACKOFF);
  readonly #listening = new Map<string, readonly BoundSocket[]>();
  #share: GatewayShare | null = null;
  #life: GatewayLife | null = null;
  #restart: NodeJS.Timeout | null = null;
  #isClosed = false;
  #lives = 0;
  #lastEnd = '';
  readonly #onLife = new Set<() => void>();

  constructor(private readonly settings: GatewayLinkSettings) {}

  get name(): string {
    return this.settings.name;
  }

  get pid(): number | null {
    return this.#life?.pid ?? null;
  }

  get restarts(): number {
    return this.settings.earlierRestarts + Math.max(0, this.#lives - 1);
  }

  /** The process that runs now. */
  get life(): GatewayLife | null {
    return this.#life;
  }

  get #lanes(): readonly GatewayLane[] {
    return this.#life?.lanes ?? [];
  }

  /** Starts the process. Rejects where it can't be started at all. */
  start(): Promise<void> {
    return this.settings.surroundings.underway.track(this.#start());
  }

  async #start(): Promise<void> {
    const { metricsFd, nextSerial, surroundings } = this.settings;
    this.#lives += 1;
    const request = { ...this.settings, serial: nextSerial() };
    const life = await GatewayLife.start(request, surroundings);
    void life.ended.then((exit) => this.#onEnd(life, describeExit(exit)));
    if (this.#isClosed) return life.end();
    this.#life = life;
    if (metricsFd !== null) life.lanes[0]?.listenForMetrics(metricsFd);
    if (this.#share) this.#sendShare(this.#share);
    for (const [name, sockets] of this.#listening) this.#sendSockets(name, sockets);
    this.#tellLife();
  }

  #tellLife(): void {
    for (const resume of [...this.#onLife]) resume();
  }

  #onEnd(life: GatewayLife, how: string): void {
    if (this.#life !== life) return;
    this.#life = null;
    this.#lastEnd = how;
    this.#tellLife();
    if (this.#isClosed) return;
    if (performance.now() - life.startedAtMs >= HEALTHY_MS) this.#backoff.reset();
    const delayMs = this.#backoff.failures === 0 ? 0 : this.#backoff.next();
    if (this.#backoff.failures === 0) this.#backoff.next();
    const when = delayMs > 0 ? ` in ${delayMs} ms` : '';
    this.settings.surroundings.log.error(
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
      if (this.#isClosed) return;
      this.start().catch((error) => {
        const nextMs = this.#backoff.next();
        this.settings.surroundings.log.error(
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
    for (const [index, lane] of this.#lanes.entries())
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
    return this.#lanes.filter((_, index) => this.#share?.lanes[index]?.listeners.has(listener));
  }

  unlisten(name: string): void {
    this.#listening.delete(name);
    for (const lane of this.#lanes) lane.unlisten(name);
  }

  beat(counts: boolean): void {
    this.#life?.beat(counts);
  }

  get isHung(): boolean {
    return this.#life?.isHung ?? false;
  }

  /** Resolves when it takes connections on every listener of this generation, or at the signal. Rejects where it never will. */
  async untilReady(generation: number, signal: AbortSignal): Promise<void> {
    const running = () => (this.#life?.isOver ? null : this.#life);
    const isReady = () =>
      running()?.lanes.every((lane) => lane.readyGeneration >= generation) ?? false;
    while (!isReady() && !signal.aborted) {
      if (this.#lives > HOPELESS_STARTS && !this.#life) {
        throw new RouseError(
          'system',
          `gateway ${this.name} ${this.#lastEnd} again and again before it was ready`,
        );
      }
      await (running()?.progress(signal) ?? this.#nextLife(signal));
    }
  }

  #nextLife(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        this.#onLife.delete(resume);
        signal.removeEventListener('abort', resume);
        resolve();
      };
      this.#onLife.add(resume);
      signal.addEventListener('abort', resume, { once: true });
    });
  }

  /** Starts no process any more; the one that runs is this link's still. */
  seal(): void {
    this.#isClosed = true;
    if (this.#restart) clearTimeout(this.#restart);
  }

  /** Starts no process any more, and lets go of the one that runs; it is the caller's to end. */
  release(): GatewayLife | null {
    this.seal();
    const life = this.#life;
    this.#life = null;
    return life;
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
