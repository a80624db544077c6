import type { RequestHead } from '../../request-head.js';
import type { ClientOrigin } from './client-origin.js';
import { bytes, giveSlot, move, OUTPUT_AT, OUTPUT_BYTES, takeSlot } from './memory.js';
import type { Peer } from './peer.js';
import { fitsSlot, isCommon, writeAny, writeCommon } from './request-head-writer.js';

/** A request's head for its upstream, from the composing until it need not be sent any more. */
export class OutgoingHead {
  /** In the memory: in a slot, or at `OUTPUT_AT` until the end of the event. */
  #slot = -1;
  #from = OUTPUT_AT;
  #to = OUTPUT_AT;
  /** Kept elsewhere. */
  #apart: Buffer | null = null;

  /** False: it would be too large. The bytes of `head` must still be there. */
  compose(head: RequestHead, origin: ClientOrigin, mayRepeat: boolean): boolean {
    const { lines } = origin;
    if (lines === null || !isCommon(head)) {
      this.#to = writeAny(head, origin.describe());
      return this.#to >= 0;
    }
    if (mayRepeat && fitsSlot(head, lines)) this.#slot = takeSlot();
    if (this.#slot >= 0) this.#from = this.#slot;
    this.#to = writeCommon(head, lines, this.#from);
    return true;
  }

  /** Sees to it that the head is there after this event too. */
  keep(): void {
    if (this.#slot < 0) this.#apart ??= Buffer.from(bytes.subarray(this.#from, this.#to));
  }

  /** Appends the beginning of the body to a head that isn't kept; false: there is no room. */
  append(from: number, to: number): boolean {
    if (this.#slot >= 0 || this.#apart || this.#to + to - from > OUTPUT_AT + OUTPUT_BYTES)
      return false;
    this.#to = move(from, to, this.#to);
    return true;
  }

  sendTo(peer: Peer): void {
    if (this.#apart) peer.sendBytes(this.#apart);
    else peer.send(this.#from, this.#to);
  }

  release(): void {
    if (this.#slot >= 0) giveSlot(this.#slot);
    this.#slot = -1;
    this.#apart = null;
  }
}
