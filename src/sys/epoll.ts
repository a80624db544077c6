import { closeFd } from './descriptors.js';
import { checked, libc, NativeMemory } from './libc.js';

/** Event bits (epoll_ctl(2)). */
export const EPOLLIN = 0x001;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;
export const EPOLLEXCLUSIVE = 1 << 28;
export const EPOLLET = 1 << 31;

const epollCreate1 = libc.func('int epoll_create1(int)');
const epollCtl = libc.func('int epoll_ctl(int, int, int, uintptr_t)') as (
  epollFd: number,
  operation: number,
  fd: number,
  event: number,
) => number;
const epollWait = libc.func('int epoll_wait(int, uintptr_t, int, int)') as (
  epollFd: number,
  events: number,
  limit: number,
  timeoutMs: number,
) => number;

const EPOLL_CLOEXEC = 0o2000000;
const ADD = 1;
const DELETE = 2;
const MODIFY = 3;
const BATCH = 256;
/** struct epoll_event is packed on x64 only. */
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const DATA_OFFSET = process.arch === 'x64' ? 4 : 8;

/**
 * An epoll set (epoll(7)). Each descriptor is registered with a tag of 32 bits, which comes back with
 * its events: it tells a descriptor from an earlier one of the same number.
 */
export class Epoll {
  readonly #fd = checked(epollCreate1(EPOLL_CLOEXEC), 'epoll_create1');
  readonly #event = new NativeMemory(EVENT_BYTES);
  readonly #events = new NativeMemory(EVENT_BYTES * BATCH);
  readonly #eventAddress = Number(this.#event.address);
  readonly #eventsAddress = Number(this.#events.address);
  readonly #view = new DataView(
    this.#events.bytes.buffer,
    this.#events.bytes.byteOffset,
    this.#events.bytes.length,
  );

  /** Throws a `SystemError`. */
  add(fd: number, events: number, tag: number): void {
    this.#control(ADD, fd, events, tag);
  }

  modify(fd: number, events: number, tag: number): void {
    this.#control(MODIFY, fd, events, tag);
  }

  /** To be called before the descriptor is closed where others hold the same open file. */
  remove(fd: number): void {
    epollCtl(this.#fd, DELETE, fd, this.#eventAddress);
  }

  #control(operation: number, fd: number, events: number, tag: number): void {
    const { bytes } = this.#event;
    bytes.writeInt32LE(events | 0, 0);
    bytes.writeInt32LE(fd, DATA_OFFSET);
    bytes.writeInt32LE(tag | 0, DATA_OFFSET + 4);
    checked(epollCtl(this.#fd, operation, fd, this.#eventAddress), `watch descriptor ${fd}`);
  }

  /** Waits, and returns how many events there are; they are read by index until the next call. */
  wait(timeoutMs: number): number {
    return epollWait(this.#fd, this.#eventsAddress, BATCH, timeoutMs);
  }

  eventsAt(index: number): number {
    return this.#view.getInt32(index * EVENT_BYTES, true);
  }

  fdAt(index: number): number {
    return this.#view.getInt32(index * EVENT_BYTES + DATA_OFFSET, true);
  }

  tagAt(index: number): number {
    return this.#view.getInt32(index * EVENT_BYTES + DATA_OFFSET + 4, true);
  }

  close(): void {
    closeFd(this.#fd);
    this.#event.release();
    this.#events.release();
  }
}
