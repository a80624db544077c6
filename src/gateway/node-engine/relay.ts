import type { Duplex } from 'node:stream';
import type { Use } from '../engine.js';
import { closeLingering } from './sockets.js';
import type { Sweeps } from './sweeps.js';

/** A socket together with how it is broken off. */
export interface RelaySide {
  readonly socket: Duplex;
  readonly reset: () => void;
}

export interface RelayOptions {
  readonly client: RelaySide;
  readonly upstream: RelaySide;
  readonly use: Pick<Use, 'setQuiet' | 'resume'>;
  readonly quietMs: number;
  readonly sweeps: Sweeps;
  /** Is called once, when both sides are closed. */
  readonly onClose: (moved: { readonly bytesIn: number; readonly bytesOut: number }) => void;
}

/**
 * Moves bytes both ways between two paused sockets until both are closed: half-close and
 * back-pressure pass through, an error on one side breaks the other off. Quiet when nothing moved
 * for `quietMs`; what comes then waits until the instance is awake.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #inward: Direction;
  readonly #outward: Direction;
  readonly #stopWatching: () => void;
  #openSides = 2;
  #isActive = false;
  #activeAtMs = performance.now();
  #isQuiet = false;
  readonly #waiting: Array<() => void> = [];

  constructor(options: RelayOptions) {
    const { client, upstream } = options;
    this.#options = options;
    this.#inward = new Direction(client.socket, upstream.socket, this);
    this.#outward = new Direction(upstream.socket, client.socket, this);
    this.#stopWatching = options.sweeps.watch(options.quietMs, (nowMs) => this.#checkQuiet(nowMs));
    this.#followClose(client, upstream, this.#inward);
    this.#followClose(upstream, client, this.#outward);
  }

  /** Breaks off both sides. */
  destroy(): void {
    this.#options.client.reset();
    this.#options.upstream.reset();
  }

  /** Notes that bytes want to move; false: they must wait, see `defer`. */
  noteActivity(): boolean {
    this.#isActive = true;
    return !this.#isQuiet;
  }

  /** Wakes the instance, then runs `move`. */
  defer(move: () => void): void {
    this.#waiting.push(move);
    if (this.#waiting.length > 1) return;
    this.#inward.pause();
    this.#outward.pause();
    this.#options.use.resume().then(
      () => {
        this.#isQuiet = false;
        this.#activeAtMs = performance.now();
        for (const move of this.#waiting.splice(0)) move();
        this.#inward.resume();
        this.#outward.resume();
      },
      () => this.destroy(),
    );
  }

  #checkQuiet(nowMs: number): void {
    if (this.#isActive) {
      this.#isActive = false;
      this.#activeAtMs = nowMs;
    } else if (!this.#isQuiet && nowMs - this.#activeAtMs >= this.#options.quietMs) {
      this.#isQuiet = true;
      this.#options.use.setQuiet();
    }
  }

  #followClose(side: RelaySide, other: RelaySide, from: Direction): void {
    const onClose = (): void => {
      this.#openSides -= 1;
      if (this.#openSides === 0) this.#finish();
      else if (!from.isEnded) other.reset();
      // It said all it had to say, and that is on its way; nobody takes what the other still sends.
      else if (!side.socket.writableFinished) closeLingering(other.socket);
    };
    if (side.socket.closed) onClose();
    else side.socket.once('close', onClose);
  }

  #finish(): void {
    this.#stopWatching();
    this.#options.onClose({ bytesIn: this.#inward.bytes, bytesOut: this.#outward.bytes });
  }
}

/** One way of a relay. */
class Direction {
  bytes = 0;
  isEnded = false;
  #isPaused = false;
  #isFull = false;

  constructor(
    private readonly source: Duplex,
    private readonly sink: Duplex,
    relay: Relay,
  ) {
    source.on('error', () => source.destroy());
    source.on('data', (chunk: Buffer) => {
      if (relay.noteActivity()) this.#forward(chunk);
      else relay.defer(() => this.#forward(chunk));
    });
    const onEnd = (): void => {
      if (relay.noteActivity()) this.#forwardEnd();
      else relay.defer(() => this.#forwardEnd());
    };
    // A paused socket with nothing to read says so all the same.
    if (source.readableEnded) process.nextTick(onEnd);
    else source.once('end', onEnd);
    sink.on('drain', () => {
      this.#isFull = false;
      this.#flowIfPossible();
    });
    source.resume();
  }

  pause(): void {
    this.#isPaused = true;
    this.source.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#flowIfPossible();
  }

  #forward(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.sink.destroyed || this.sink.writableEnded) return;
    if (this.sink.write(chunk)) return;
    this.#isFull = true;
    this.source.pause();
  }

  #forwardEnd(): void {
    this.isEnded = true;
    if (!this.sink.destroyed) this.sink.end();
  }

  #flowIfPossible(): void {
    if (!this.#isFull && !this.#isPaused) this.source.resume();
  }
}
