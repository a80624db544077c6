import { EAGAIN, spliceBytes } from '../../../sys/stream-io.js';
import type { Pipe, PipePool } from '../pipe-pool.js';
import { AT_END, type Peer } from './peer.js';

/** From here on bytes are spliced; fewer are copied, which costs less. */
export const SPLICE_FROM_BYTES = 32 * 1024;

/** Moves bytes from one peer to another by splice(2); it holds a pipe only while bytes flow. */
export class SpliceRelay {
  #pipe: Pipe | null = null;

  constructor(private readonly pipes: PipePool) {}

  get isEmpty(): boolean {
    return this.#pipe === null || this.#pipe.filled === 0;
  }

  /** Whether there is a pipe; without descriptors there is none. */
  begin(): boolean {
    this.#pipe ??= this.pipes.take();
    return this.#pipe !== null;
  }

  /** After `begin`, while empty: how many bytes, at most `limitBytes`, came in, or as `Peer.receive`. */
  fill(from: Peer, limitBytes: number): number {
    const pipe = this.#pipe as Pipe;
    const length = Math.min(limitBytes, pipe.sizeBytes);
    const moved = spliceBytes(from.fd, pipe.writeFd, length, false);
    if (moved > 0) {
      pipe.filled = moved;
      return moved;
    }
    this.release();
    return moved === 0 ? AT_END : from.noteFailure(moved);
  }

  /** Whether all is sent; where not, `to` is full or broken. */
  empty(to: Peer): boolean {
    const pipe = this.#pipe;
    while (pipe && pipe.filled > 0) {
      if (!to.isWritable || to.isBroken) return false;
      const moved = spliceBytes(pipe.readFd, to.fd, pipe.filled, false);
      if (moved > 0) {
        pipe.filled -= moved;
        to.sends += 1;
      } else {
        to.isWritable = false;
        if (moved !== -EAGAIN) to.isBroken = true;
      }
    }
    return true;
  }

  release(): void {
    if (this.#pipe) this.pipes.give(this.#pipe);
    this.#pipe = null;
  }
}
