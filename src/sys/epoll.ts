import { closeFd } from './descriptors.js';
import { checked, lastErrno, libc, NativeMemory, SystemError } from './libc.js';

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
/** struct epoll_event in words of 32 bits: the events, then (packed on x64 only) 64 bits of data. */
const DATA_WORD = process.arch === 'x64' ? 1 : 2;
const EVENT_WORDS = DATA_WORD + 2;
const WORD_BYTES = 4;

/**
 * An epoll set (epoll(7)). Each descriptor is registered with a tag of 32 bits, which comes back with
 * its events: it tells a descriptor from an earlier one of the same number.
 */
export class Epoll {
  readonly #fd = checked(epollCreate1(EPOLL_CLOEXEC), 'epoll_create1');
  readonly #event = new NativeMemory(EVENT_WORDS * WORD_BYTES);
  readonly #events = new NativeMemory(EVENT_WORDS * WORD_BYTES * BATCH);
  readonly #eventAddress = Number(this.#event.address);
  readonly #eventsAddress = Number(this.#events.address);
  readonly #eventWords = wordsOf(this.#event);
  readonly #eventsWords = wordsOf(this.#events);

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
    this.#eventWords[0] = events;
    this.#eventWords[DATA_WORD] = fd;
    this.#eventWords[DATA_WORD + 1] = tag;
    if (epollCtl(this.#fd, operation, fd, this.#eventAddress) < 0)
      throw new SystemError(`watch descriptor ${fd}`, lastErrno());
  }

  /** Waits, and returns how many events there are; they are read by index until the next call. */
  wait(timeoutMs: number): number {
    return epollWait(this.#fd, this.#eventsAddress, BATCH, timeoutMs);
  }

  eventsAt(index: number): number {
    return this.#eventsWords[index * EVENT_WORDS] as number;
  }

  fdAt(index: number): number {
    return this.#eventsWords[index * EVENT_WORDS + DATA_WORD] as number;
  }

  tagAt(index: number): number {
    return this.#eventsWords[index * EVENT_WORDS + DATA_WORD + 1] as number;
  }

  close(): void {
    closeFd(this.#fd);
    this.#event.release();
    this.#events.release();
  }
}

function wordsOf({ bytes }: NativeMemory): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / WORD_BYTES);
}
