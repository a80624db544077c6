import { closeFd } from '../../sys/descriptors.js';
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../sys/epoll.js';
import type { EventHandler, NativeLoop } from '../../sys/native-loop.js';
import {
  EAGAIN,
  endSending,
  receiveInto,
  resetOnClose,
  sendFrom,
  spliceBytes,
  TransferBuffer,
} from '../../sys/stream-io.js';
import type { Pipe, PipePool } from './pipe-pool.js';

/** Both directions at once, told when something changes. */
const EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
const BUFFER_BYTES = 64 * 1024;
/** Fewer bytes at a time are copied, more are spliced. */
const SPLICE_FROM_BYTES = 16 * 1024;
/** What one direction may move before others have their turn. */
const TURN_BYTES = 1024 * 1024;

/** One for all connections of a thread: nothing stays in it between two calls. */
const buffer = new TransferBuffer(BUFFER_BYTES);

export interface DuplexOwner {
  /** Both ends are closed; `isBroken`: not in good order. Called once. */
  onClosed(isBroken: boolean): void;
  /** Bytes want to move, and the connection is quiet: they wait until `Duplex.resume`. */
  onWanted(): void;
  /** The upstream refused the connection; the owner may dial again, or destroy the duplex. */
  onRefused(): void;
}

/** One end of a relayed connection. */
class End implements EventHandler {
  isReadable = false;
  isWritable = false;
  /** The peer has closed or shut down: read on until end of file, even after a short read. */
  hasHungUp = false;
  isAtEnd = false;
  isShut = false;
  isConnecting = false;
  bytes = 0;
  /** Read from this end, not yet sent to the other. */
  pending: Buffer | null = null;
  pipe: Pipe | null = null;
  other!: End;

  constructor(
    readonly fd: number,
    private readonly duplex: Duplex,
  ) {}

  onEvents(events: number): void {
    this.duplex.onEndEvents(this, events);
  }
}

/**
 * Relays bytes both ways between two descriptors that it owns: half-close and back-pressure pass
 * through, an error on one side breaks the other off. An idle connection holds no buffer.
 */
export class Duplex {
  readonly #client: End;
  #upstream: End | null = null;
  #isClosed = false;
  #isQuiet = false;
  #isWaking = false;
  /** Set whenever bytes move; whoever looks for quiet connections clears it. */
  isActive = true;

  constructor(
    clientFd: number,
    private readonly loop: NativeLoop,
    private readonly pipes: PipePool,
    private readonly owner: DuplexOwner,
  ) {
    this.#client = new End(clientFd, this);
  }

  get isQuiet(): boolean {
    return this.#isQuiet;
  }

  get bytesIn(): number {
    return this.#client.bytes;
  }

  get bytesOut(): number {
    return this.#upstream?.bytes ?? 0;
  }

  /**
   * Starts relaying; `firstBytes` were read from the client already, `answer` from the upstream. The
   * descriptors aren't watched by anybody else any more.
   */
  start(
    upstreamFd: number,
    isConnected: boolean,
    firstBytes: Buffer | null,
    answer: Buffer | null = null,
  ): void {
    const upstream = new End(upstreamFd, this);
    const client = this.#client;
    this.#upstream = upstream;
    upstream.other = client;
    client.other = upstream;
    upstream.isConnecting = !isConnected;
    client.pending = firstBytes;
    client.bytes = firstBytes?.length ?? 0;
    upstream.pending = answer;
    upstream.bytes = answer?.length ?? 0;
    this.loop.add(upstreamFd, EVENTS, upstream);
    this.loop.add(client.fd, EVENTS, client);
  }

  /** Another try after `onRefused`: the former descriptor is closed. */
  redial(upstreamFd: number, isConnected: boolean): void {
    const former = this.#upstream as End;
    const upstream = new End(upstreamFd, this);
    this.loop.forget(former.fd);
    closeFd(former.fd);
    this.#upstream = upstream;
    upstream.other = this.#client;
    this.#client.other = upstream;
    upstream.isConnecting = !isConnected;
    this.loop.add(upstreamFd, EVENTS, upstream);
  }

  onEndEvents(end: End, events: number): void {
    if (this.#isClosed) return;
    if (end.isConnecting && !this.#noteConnected(end, events)) return;
    if (events & EPOLLERR) {
      this.#readOutBroken(end);
      return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) end.isReadable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP)) end.hasHungUp = true;
    if (events & EPOLLOUT) end.isWritable = true;
    this.#work(end);
  }

  /** What came before a reset is still there to be read; the error behind it ends both sides. */
  #readOutBroken(end: End): void {
    if (end.isAtEnd || end.isConnecting || this.#isQuiet) {
      this.destroy();
      return;
    }
    end.isReadable = true;
    end.hasHungUp = true;
    this.#move(end);
  }

  #noteConnected(end: End, events: number): boolean {
    if (events & (EPOLLERR | EPOLLHUP)) {
      this.owner.onRefused();
      return false;
    }
    if (!(events & EPOLLOUT)) return false;
    end.isConnecting = false;
    return true;
  }

  #work(end: End): void {
    if (this.#isQuiet) {
      if (!this.#isWaking && (end.isReadable || this.#canFlow(end.other))) {
        this.#isWaking = true;
        this.owner.onWanted();
      }
      return;
    }
    if (end.isReadable || end.pending || end.isAtEnd) this.#move(end);
    const { other } = end;
    if (!this.#isClosed && (other.isReadable || other.pending || other.pipe || other.isAtEnd))
      this.#move(other);
  }

  /** Whether something waits to go on from this end, and the other takes it again. */
  #canFlow(from: End): boolean {
    const to = from.other;
    if (to.isConnecting || !to.isWritable) return false;
    const hasBytes = from.isReadable || from.pending !== null || from.pipe !== null;
    return hasBytes || (from.isAtEnd && !to.isShut);
  }

  /** Nothing moves until `resume`. */
  setQuiet(): void {
    this.#isQuiet = true;
  }

  resume(): void {
    this.#isQuiet = false;
    this.#isWaking = false;
    this.isActive = true;
    if (this.#isClosed) return;
    this.#work(this.#client);
  }

  /** Moves what there is from one end to the other, up to a bound. */
  #move(from: End): void {
    const to = from.other;
    if (!to || to.isConnecting) return;
    let moved = 0;
    while (!this.#isClosed) {
      if (from.pending && !this.#sendPending(from, to)) return;
      if (from.pipe && !this.#emptyPipe(from.pipe, to)) return;
      if (from.isAtEnd) {
        this.#endSending(from, to);
        return;
      }
      if (!from.isReadable || !to.isWritable) {
        this.#givePipe(from);
        return;
      }
      if (moved >= TURN_BYTES) {
        this.loop.soon(() => this.#isClosed || this.#move(from));
        return;
      }
      const count = from.pipe ? this.#fillPipe(from, from.pipe) : this.#copy(from, to);
      if (count <= 0) {
        if (count === 0) continue;
        return;
      }
      this.isActive = true;
      moved += count;
      from.bytes += count;
    }
  }

  /** Bytes read; 0: end of file was noted; negative: nothing there now, or broken off. */
  #copy(from: End, to: End): number {
    const received = receiveInto(from.fd, buffer, 0, BUFFER_BYTES);
    if (received <= 0) return this.#noteNothing(from, received);
    if (received < BUFFER_BYTES && !from.hasHungUp) from.isReadable = false;
    const sent = sendFrom(to.fd, buffer, 0, received);
    if (sent === received) {
      // A pipe is for what still comes: an idle connection holds none.
      if (received >= SPLICE_FROM_BYTES && from.isReadable) from.pipe = this.#takePipe();
      return received;
    }
    if (sent < 0 && sent !== -EAGAIN) {
      this.destroy();
      return -1;
    }
    to.isWritable = false;
    from.pending = Buffer.from(buffer.bytes.subarray(Math.max(0, sent), received));
    return received;
  }

  #takePipe(): Pipe | null {
    try {
      return this.pipes.take();
    } catch {
      return null;
    }
  }

  #fillPipe(from: End, pipe: Pipe): number {
    const received = spliceBytes(from.fd, pipe.writeFd, pipe.sizeBytes, false);
    if (received <= 0) {
      this.#givePipe(from);
      return this.#noteNothing(from, received);
    }
    pipe.filled = received;
    return received;
  }

  #emptyPipe(pipe: Pipe, to: End): boolean {
    while (pipe.filled > 0) {
      if (!to.isWritable) return false;
      const sent = spliceBytes(pipe.readFd, to.fd, pipe.filled, false);
      if (sent > 0) pipe.filled -= sent;
      else if (sent === -EAGAIN) to.isWritable = false;
      else {
        this.destroy();
        return false;
      }
    }
    return true;
  }

  #givePipe(end: End): void {
    if (end.pipe) this.pipes.give(end.pipe);
    end.pipe = null;
  }

  #noteNothing(from: End, result: number): number {
    if (result === 0) {
      from.isReadable = false;
      from.isAtEnd = true;
      return 0;
    }
    from.isReadable = false;
    if (result !== -EAGAIN) this.destroy();
    return -1;
  }

  #sendPending(from: End, to: End): boolean {
    const pending = from.pending as Buffer;
    let at = 0;
    while (at < pending.length && to.isWritable) {
      const length = Math.min(BUFFER_BYTES, pending.length - at);
      pending.copy(buffer.bytes, 0, at, at + length);
      const sent = sendFrom(to.fd, buffer, 0, length);
      if (sent >= 0) at += sent;
      else if (sent === -EAGAIN) to.isWritable = false;
      else {
        this.destroy();
        return false;
      }
    }
    from.pending = at === pending.length ? null : pending.subarray(at);
    return from.pending === null;
  }

  #endSending(from: End, to: End): void {
    this.#givePipe(from);
    // The last end of file goes out with close(2): one call less.
    if (to.isAtEnd && from.isShut) {
      this.#close(false);
      return;
    }
    if (!to.isShut) {
      to.isShut = true;
      endSending(to.fd);
    }
  }

  /** Breaks both sides off: each peer sees that something was lost. */
  destroy(): void {
    if (this.#isClosed) return;
    resetOnClose(this.#client.fd);
    if (this.#upstream) resetOnClose(this.#upstream.fd);
    this.#close(true);
  }

  #close(isBroken: boolean): void {
    this.#isClosed = true;
    for (const end of [this.#client, this.#upstream]) {
      if (!end) continue;
      this.#givePipe(end);
      this.loop.forget(end.fd);
      closeFd(end.fd);
    }
    this.owner.onClosed(isBroken);
  }
}
