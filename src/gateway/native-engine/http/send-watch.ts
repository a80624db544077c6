import { undeliveredBytes } from '../../../sys/stream-io.js';
import type { Peer } from './peer.js';

/** Tells when a peer has taken none of what is there for it for too long. */
export class SendWatch {
  #sends = -1;
  #undeliveredBytes = 0;
  #sinceMs = 0;

  /** To be asked now and then. */
  isStuck(peer: Peer, nowMs: number, limitMs: number): boolean {
    if (peer.isWritable) {
      this.#sends = -1;
      return false;
    }
    const undelivered = undeliveredBytes(peer.fd);
    if (peer.sends === this.#sends && undelivered === this.#undeliveredBytes) {
      return nowMs - this.#sinceMs > limitMs;
    }
    this.#sends = peer.sends;
    this.#undeliveredBytes = undelivered;
    this.#sinceMs = nowMs;
    return false;
  }
}
