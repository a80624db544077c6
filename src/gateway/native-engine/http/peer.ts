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

export const PEER_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

const INPUT_BYTES = 64 * 1024;
/** A head with all that forwarding adds to it; or a head, what came with it of a body, and framing. */
const OUTPUT_BYTES = 384 * 1024;

/** One for all connections of a thread: what is read lies here until the next `receive`. */
export const input = new TransferBuffer(INPUT_BYTES);
/** What is composed lies here until it is sent: nothing stays between two calls. */
export const output = new TransferBuffer(OUTPUT_BYTES);
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

  /** How many bytes are in `input` now, `AT_END`, `NOTHING_NOW` or `BROKEN`. */
  receive(): number {
    const received = receiveInto(this.fd, input, 0, INPUT_BYTES);
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

  /** Sends from `input` or `output`; what finds no room is kept for `flush`. */
  send(from: TransferBuffer, offset: number, length: number): void {
    if (this.isBroken || length === 0) return;
    const sent = this.pending ? 0 : this.#sendNow(from, offset, length);
    if (sent === length || this.isBroken) return;
    const left = from.bytes.subarray(offset + sent, offset + length);
    this.pending = this.pending ? Buffer.concat([this.pending, left]) : Buffer.from(left);
  }

  /** As `send`, from anywhere. */
  sendBytes(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.isBroken; at += INPUT_BYTES) {
      const length = bytes.copy(output.bytes, 0, at, at + INPUT_BYTES);
      this.send(output, 0, length);
    }
  }

  /** Sends what was kept. Whether all of it is sent. */
  flush(): boolean {
    const bytes = this.pending;
    if (bytes === null) return !this.isBroken;
    let at = 0;
    while (at < bytes.length && this.isWritable && !this.isBroken) {
      const length = bytes.copy(output.bytes, 0, at, at + INPUT_BYTES);
      at += this.#sendNow(output, 0, length);
    }
    this.pending = at === bytes.length || this.isBroken ? null : bytes.subarray(at);
    return this.pending === null && !this.isBroken;
  }

  #sendNow(from: TransferBuffer, offset: number, length: number): number {
    if (!this.isWritable) return 0;
    const sent = sendFrom(this.fd, from, offset, length);
    if (sent >= 0) {
      if (sent < length) this.isWritable = false;
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
