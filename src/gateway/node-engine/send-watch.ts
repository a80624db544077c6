import type { Socket } from 'node:net';

/** What Node has and its types leave out: how much libuv still has to write. */
interface Queued {
  readonly _handle?: { readonly writeQueueSize?: number } | null;
}

/** Tells when a client has taken none of what is there for it for too long. */
export class SendWatch {
  #mark = '';
  #sinceMs = 0;

  /** To be asked now and then. */
  isStuck(socket: Socket, nowMs: number, limitMs: number): boolean {
    if (socket.writableLength === 0) {
      this.#mark = '';
      return false;
    }
    const queuedBytes = (socket as Queued)._handle?.writeQueueSize ?? 0;
    const mark = `${socket.bytesWritten} ${socket.writableLength} ${queuedBytes}`;
    if (mark === this.#mark) return nowMs - this.#sinceMs > limitMs;
    this.#mark = mark;
    this.#sinceMs = nowMs;
    return false;
  }
}
