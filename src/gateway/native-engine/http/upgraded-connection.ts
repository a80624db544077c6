import type { RouteMatch, Use } from '../../engine.js';
import type { NativeConnection, NativeContext } from '../context.js';
import { Duplex, type DuplexOwner } from '../duplex.js';

export interface UpgradedParts {
  readonly match: RouteMatch;
  readonly use: Use;
  readonly clientFd: number;
  readonly upstreamFd: number;
  /** The 101, and what came behind it. */
  readonly answer: Buffer;
  /** What came behind the request. */
  readonly early: Buffer | null;
  readonly onClosed: (bytesIn: number, bytesOut: number) => void;
}

/** A connection that is HTTP no longer (RFC 9110 7.8), relayed as one of `tcp` would be. */
export class UpgradedConnection implements NativeConnection, DuplexOwner {
  readonly service: string;
  readonly instance: number;
  readonly isReach = false;
  readonly #duplex: Duplex;
  #quietSinceMs = 0;

  constructor(
    private readonly context: NativeContext,
    private readonly parts: UpgradedParts,
  ) {
    const { use, clientFd, upstreamFd, early, answer } = parts;
    this.service = use.service;
    this.instance = use.instance;
    this.#duplex = new Duplex(clientFd, context.loop, context.pipes, this);
    context.connections.add(this);
    this.#duplex.start(upstreamFd, true, early, answer);
  }

  /** Quiet when nothing moved for `quietMs`, which is looked at now and then. */
  sweep(nowMs: number): void {
    const duplex = this.#duplex;
    if (duplex.isQuiet) return;
    if (duplex.isActive) {
      duplex.isActive = false;
      this.#quietSinceMs = nowMs;
    } else if (nowMs - this.#quietSinceMs >= this.parts.match.quietMs) {
      duplex.setQuiet();
      this.parts.use.setQuiet();
    }
  }

  onWanted(): void {
    this.context.loop.needTurn();
    this.parts.use.resume().then(
      () => this.#duplex.resume(),
      () => this.#duplex.destroy(),
    );
  }

  onRefused(): void {
    this.#duplex.destroy();
  }

  destroy(): void {
    this.#duplex.destroy();
  }

  onClosed(): void {
    this.context.connections.delete(this);
    this.parts.use.end();
    this.parts.onClosed(this.#duplex.bytesIn, this.#duplex.bytesOut);
  }
}
