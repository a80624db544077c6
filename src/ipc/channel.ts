import { messageOf, RouseError } from '../base/errors.js';
import { closeFd } from '../sys/descriptors.js';
import { receivePacket, sendPacket } from '../sys/fd-passing.js';
import { SystemError } from '../sys/libc.js';
import { type Watch, type WatchFd, watchFd } from '../sys/poller.js';

export interface ChannelHandlers<In> {
  /** The descriptors are the handler's from here on. */
  onMessage(message: In, fds: number[]): void;
  /** Once: the other side closed (`null`), or it broke the rules, or doesn't read. The channel is closed then. */
  onEnd(failure: RouseError | null): void;
  /** Throws on what isn't a message. */
  parse(value: unknown): In;
}

interface Queued {
  readonly packet: Buffer;
  readonly fds: readonly number[];
  readonly closeAfter: boolean;
}

/** What may wait to be sent; beyond that the other side has stopped reading. */
const QUEUE_LIMIT = 20_000;
/** Descriptors that may wait: they count against this process's limit. */
const QUEUE_LIMIT_FDS = 8192;
/** What sending fails with when the other side has closed. */
const ENDED = new Set(['EPIPE', 'ECONNRESET', 'ENOTCONN']);
/** Packets taken in one go, before other work of the thread gets its turn. */
const BATCH = 64;

/** One end of the control channel: JSON messages, each with its descriptors, over a SEQPACKET socket that it owns. */
export class Channel<In, Out> {
  readonly #watch: Watch;
  readonly #queue: Queued[] = [];
  #queuedFds = 0;
  #isFull = false;
  #isPaused = false;
  #isClosed = false;
  readonly #onFlushed = new Set<() => void>();

  constructor(
    private readonly fd: number,
    private readonly handlers: ChannelHandlers<In>,
    /** How this thread waits for descriptors. */
    watch: WatchFd = watchFd,
  ) {
    this.#watch = watch(fd, { read: true }, (events) => {
      if (events.write) this.#flush();
      if (events.read) this.#receive();
    });
  }

  /**
   * Sends a message; after `end` it does nothing. `fds` stay the caller's, unless `closeAfter`: then
   * they are closed once they are sent (or can't be).
   */
  send(message: Out, fds: readonly number[] = [], options: { closeAfter?: boolean } = {}): void {
    const closeAfter = options.closeAfter ?? false;
    if (this.#isClosed) {
      if (closeAfter) for (const fd of fds) closeFd(fd);
      return;
    }
    this.#queue.push({ packet: Buffer.from(JSON.stringify(message)), fds, closeAfter });
    this.#queuedFds += fds.length;
    if (this.#queue.length === 1) this.#flush();
    else if (this.#queue.length > QUEUE_LIMIT || this.#queuedFds > QUEUE_LIMIT_FDS) {
      this.#end(new RouseError('protocol', 'the other side of the control channel does not read'));
    }
  }

  /** Reads no more until `resume`: what comes waits in the socket, also for whoever has its descriptor by then. */
  pause(): void {
    this.#isPaused = true;
    this.#wait();
  }

  resume(): void {
    this.#isPaused = false;
    this.#wait();
  }

  /** Whether all that was sent has left this process. */
  get isFlushed(): boolean {
    return this.#queue.length === 0;
  }

  /** Resolves when all that was sent has left this process, or never will. */
  async flushed(): Promise<void> {
    while (!this.isFlushed) await new Promise<void>((resolve) => this.#onFlushed.add(resolve));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch.close();
    this.#dropQueue();
    closeFd(this.fd);
  }

  #dropQueue(): void {
    while (this.#queue.length > 0) this.#dropFirst();
  }

  /** Sent, or never to be: what was only for sending is closed. */
  #dropFirst(): void {
    const first = this.#queue.shift();
    if (!first) return;
    this.#queuedFds -= first.fds.length;
    if (first.closeAfter) for (const fd of first.fds) closeFd(fd);
    if (this.#queue.length > 0) return;
    for (const resume of this.#onFlushed) resume();
    this.#onFlushed.clear();
  }

  #flush(): void {
    try {
      for (let next = this.#queue[0]; next; next = this.#queue[0]) {
        if (!sendPacket(this.fd, next.packet, next.fds)) return this.#awaitRoom(true);
        this.#dropFirst();
      }
    } catch (error) {
      this.#onSendError(error);
      return;
    }
    this.#awaitRoom(false);
  }

  #onSendError(error: unknown): void {
    if (error instanceof RangeError) {
      this.#dropFirst();
      throw error;
    }
    const isEnded = error instanceof SystemError && ENDED.has(error.errnoName);
    // The other side's end is seen by reading, after what it still sent.
    if (isEnded) this.#dropQueue();
    else this.#end(new RouseError('protocol', messageOf(error)));
  }

  #awaitRoom(isFull: boolean): void {
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#wait();
  }

  #wait(): void {
    if (!this.#isClosed) this.#watch.want({ read: !this.#isPaused, write: this.#isFull });
  }

  #receive(): void {
    for (let taken = 0; taken < BATCH && !this.#isClosed && !this.#isPaused; taken += 1) {
      let fds: number[] = [];
      try {
        const packet = receivePacket(this.fd);
        if (packet === null) return;
        if (packet === 'end') return this.#end(null);
        fds = packet.fds;
        const message = this.handlers.parse(JSON.parse(packet.bytes.toString('utf8')));
        const passed = fds;
        fds = [];
        this.handlers.onMessage(message, passed);
      } catch (error) {
        for (const fd of fds) closeFd(fd);
        return this.#end(
          error instanceof RouseError
            ? error
            : new RouseError(
                'protocol',
                `not a message of the control channel: ${messageOf(error)}`,
              ),
        );
      }
    }
  }

  #end(failure: RouseError | null): void {
    if (this.#isClosed) return;
    this.close();
    this.handlers.onEnd(failure);
  }
}
