import { closeFd } from '../../../sys/descriptors.js';
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../../sys/epoll.js';
import {
  EAGAIN,
  endSending,
  receiveInto,
  resetOnClose,
  sendFrom,
  TransferBuffer,
} from '../../../sys/stream-io.js';
import { bytes, INPUT_AT, INPUT_BYTES, KEPT_AT, KEPT_END, memory } from './memory.js';

export const PEER_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

const glance = new TransferBuffer(8);

export const AT_END = 0;
export const NOTHING_NOW = -1;
export const BROKEN = -2;

/** A connection's descriptor, and what edge-triggered epoll(7) has said of it. */
export class Peer {
  isReadable = false;
  isWritable: boolean;
  /** The other side has closed or shut down: read on until end of file, even after a short read. */
  hasHungUp = false;
  isBroken = false;
  /** How often something was sent. */
  sends = 0;
  /** To be sent as soon as there is room. */
  pending: Buffer | null = null;

  constructor(
    readonly fd: number,
    isConnected = true,
  ) {
    this.isWritable = isConnected;
  }

  note(events: number): void {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) this.isReadable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) this.hasHungUp = true;
    if (events & EPOLLOUT) this.isWritable = true;
  }

  /** How many bytes are at `INPUT_AT` now, `AT_END`, `NOTHING_NOW` or `BROKEN`. */
  receive(): number {
    const received = receiveInto(this.fd, memory, INPUT_AT, INPUT_BYTES);
    if (received > 0) {
      if (received < INPUT_BYTES && !this.hasHungUp) this.isReadable = false;
      return received;
    }
    return received === 0 ? AT_END : this.noteFailure(received);
  }

  /** What a failed read means; `errno` is negative. */
  noteFailure(errno: number): number {
    this.isReadable = false;
    if (errno === -EAGAIN) return NOTHING_NOW;
    this.isBroken = true;
    return BROKEN;
  }

  /** Whether nothing has arrived that wasn't read; what has is spoilt. */
  get isSilent(): boolean {
    return receiveInto(this.fd, glance, 0, 1) === -EAGAIN;
  }

  /** Sends bytes of the memory; what finds no room is kept for `flush`. */
  send(from: number, to: number): void {
    if (this.isBroken || from === to) return;
    const sent = this.pending ? 0 : this.#sendNow(from, to);
    if (from + sent === to || this.isBroken) return;
    const left = bytes.subarray(from + sent, to);
    this.pending = this.pending ? Buffer.concat([this.pending, left]) : Buffer.from(left);
  }

  /** As `send`, from anywhere. */
  sendBytes(source: Buffer): void {
    for (let at = 0; at < source.length && !this.isBroken; at += KEPT_END - KEPT_AT) {
      this.send(KEPT_AT, this.#fill(source, at));
    }
  }

  /** Brings a piece into the memory; returns where it ends there. */
  #fill(source: Buffer, at: number): number {
    return KEPT_AT + source.copy(bytes, KEPT_AT, at, at + KEPT_END - KEPT_AT);
  }

  /** Sends what was kept. Whether all of it is sent. */
  flush(): boolean {
    const kept = this.pending;
    if (kept === null) return !this.isBroken;
    let at = 0;
    while (at < kept.length && this.isWritable && !this.isBroken) {
      at += this.#sendNow(KEPT_AT, this.#fill(kept, at));
    }
    this.pending = at === kept.length || this.isBroken ? null : kept.subarray(at);
    return this.pending === null && !this.isBroken;
  }

  #sendNow(from: number, to: number): number {
    if (!this.isWritable) return 0;
    const sent = sendFrom(this.fd, memory, from, to - from);
    if (sent >= 0) {
      this.sends += 1;
      if (sent < to - from) this.isWritable = false;
      return sent;
    }
    this.isWritable = false;
    if (sent !== -EAGAIN) this.isBroken = true;
    return 0;
  }

  endSending(): void {
    endSending(this.fd);
  }

  close(): void {
    closeFd(this.fd);
  }

  /** Closes so that the other side sees that something is missing. */
  reset(): void {
    resetOnClose(this.fd);
    closeFd(this.fd);
  }
}
