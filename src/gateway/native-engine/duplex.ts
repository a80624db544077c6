import { closeFd } from '../../sys/descriptors.js';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../sys/epoll.js';
import type { NativeLoop } from '../../sys/native-loop.js';
import {
  EAGAIN,
  endSending,
  receiveInto,
  resetOnClose,
  sendFrom,
  spliceBytes,
  TransferBuffer,
  undeliveredBytes,
} from '../../sys/stream-io.js';
import { End, type EndOwner, readLimitBytes } from './end.js';
import type { Pipe, PipePool } from './pipe-pool.js';

const BUFFER_BYTES = 64 * 1024;
/** Fewer bytes at a time are copied, more are spliced. */
const SPLICE_FROM_BYTES = 16 * 1024;
/** What one direction may move before others have their turn. */
const TURN_BYTES = 256 * 1024;
/** Before a reset the last bytes are on their way that long at most, looked at that often, in milliseconds. */
const DELIVERY_MS = 5000;
const DELIVERY_LOOK_MS = 20;

/** One for all connections of a thread: nothing stays in it between two calls. */
const buffer = new TransferBuffer(BUFFER_BYTES);

export interface DuplexOwner {
  /** Both ends are closed; `isBroken`: not in good order. Called once. */
  onClosed(isBroken: boolean): void;
  /** Bytes want to move, and the connection is quiet: they wait until `Duplex.resume`. */
  onWanted(): void;
  /** The upstream refused the connection; the owner may dial again, or destroy the duplex. */
  onRefused(): void;
  /** Both ends are done in good order: whether the owner takes the upstream's descriptor, watched as it is. */
  takeBack?(upstreamFd: number): boolean;
}

/**
 * Relays bytes both ways between two descriptors that it owns: half-close and back-pressure pass
 * through. Where one end breaks off, what it sent before is delivered, and then the other is reset.
 * An idle connection holds no buffer.
 */
export class Duplex implements EndOwner {
  readonly #client: End;
  #upstream: End | null = null;
  #isClosed = false;
  #isQuiet = false;
  #isWaking = false;
  /** Bytes were lost since an end takes no more: the end of the connection isn't in good order. */
  #isLossy = false;
  /** The last bytes are on their way to it; then everything is reset. */
  #last: End | null = null;
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
   * descriptors aren't watched by anybody else any more. Throws a `SystemError` where they can't be
   * watched, and everything is closed then.
   */
  start(
    upstreamFd: number,
    isConnected: boolean,
    firstBytes: Buffer | null,
    answer: Buffer | null = null,
  ): void {
    const client = this.#client;
    // What a client says first is often there by now, and who was watched before may have been told of more.
    client.hasHungUp = this.loop.isWatching(client.fd);
    client.isReadable = firstBytes === null || client.hasHungUp;
    client.keep(firstBytes);
    client.bytes = firstBytes?.length ?? 0;
    this.#link(upstreamFd, isConnected, answer);
  }

  /** Another try after `onRefused`. Throws as `start`. */
  redial(upstreamFd: number, isConnected: boolean): void {
    this.#link(upstreamFd, isConnected, null);
  }

  #link(upstreamFd: number, isConnected: boolean, answer: Buffer | null): void {
    const client = this.#client;
    const upstream = new End(upstreamFd, this);
    this.#upstream = upstream;
    upstream.other = client;
    client.other = upstream;
    upstream.isConnecting = !isConnected;
    upstream.keep(answer);
    upstream.bytes = answer?.length ?? 0;
    this.#move(client);
    this.#move(upstream);
    try {
      if (client.other === upstream) this.#watch(upstream);
      if (!this.#isClosed && !client.isWatched) this.#watch(client);
    } catch (thrown) {
      this.destroy();
      throw thrown;
    }
  }

  #watch(end: End): void {
    if (this.#isClosed) return;
    end.isWatched = true;
    this.loop.add(end.fd, end.events, end);
  }

  onEndEvents(end: End, events: number): void {
    if (this.#isClosed) return;
    const { other } = end;
    const hasFailed = (events & EPOLLERR) !== 0;
    const isOver = hasFailed || (events & EPOLLHUP) !== 0;
    if (isOver || events & (EPOLLIN | EPOLLRDHUP)) end.isReadable = true;
    if (isOver || events & EPOLLRDHUP) end.hasHungUp = true;
    if (events & EPOLLOUT) {
      end.isWritable = true;
      if (!isOver) end.isConnecting = false;
    }
    if (this.#last !== null) {
      if (hasFailed && this.#last === end) this.destroy();
    } else if (other === null || this.#isQuiet) {
      if (hasFailed) this.destroy();
      else if (other) this.#wake(end, other);
    } else {
      // All it sent is read: no read will tell of the error.
      if (hasFailed && end.isAtEnd) end.isBroken = true;
      this.#advance(end);
      if (end.isBroken || events & EPOLLOUT) this.#advance(other);
    }
  }

  #wake(end: End, other: End): void {
    if (this.#isWaking || !(end.isReadable || canFlow(other, end))) return;
    this.#isWaking = true;
    this.owner.onWanted();
  }

  #advance(from: End): void {
    if (from.isBulk) this.#takeTurn(from);
    else this.#move(from);
  }

  /** Nothing moves until `resume`. */
  setQuiet(): void {
    this.#isQuiet = true;
  }

  resume(): void {
    this.#isQuiet = false;
    this.#isWaking = false;
    this.isActive = true;
    this.#move(this.#client);
    if (this.#upstream) this.#move(this.#upstream);
  }

  /** Goes on when others had their turn: a long transfer never holds up a short one. */
  #takeTurn(from: End): void {
    if (from.hasTurn) return;
    from.hasTurn = true;
    this.loop.soon(() => {
      from.hasTurn = false;
      if (!this.#isQuiet) this.#move(from);
    });
  }

  /** Moves what there is from one end to the other, up to a bound. */
  #move(from: End): void {
    const to = from.other;
    let leftBytes = TURN_BYTES;
    while (to !== null && from.other === to && !this.#isClosed) {
      if (to.isBroken) return this.#readOff(from, to);
      if (from.isHolding && !this.#sendHeld(from, to)) {
        if (to.isBroken) continue;
        return;
      }
      if (from.isAtEnd) return this.#passEnd(from, to);
      if (!from.isReadable || !to.isWritable) return this.#givePipe(from);
      if (leftBytes <= 0) return this.#takeTurn(from);
      const count = this.#canSplice(from) ? this.#splice(from) : this.#copy(from, to);
      if (count > 0) {
        this.isActive = true;
        from.bytes += count;
        leftBytes -= count;
      }
    }
  }

  #canSplice(from: End): boolean {
    if (from.isBulk && from.pipe === null) from.pipe = this.pipes.take();
    return from.pipe !== null;
  }

  /** Bytes read and sent, or kept; 0: none, for a reason that `#noteRead` noted. */
  #copy(from: End, to: End): number {
    const limitBytes = readLimitBytes();
    const received = receiveInto(from.fd, buffer, 0, limitBytes);
    if (received <= 0) return this.#noteRead(from, received);
    from.isConnecting = false;
    if (received < limitBytes && !from.hasHungUp) from.isReadable = false;
    from.isBulk = received >= SPLICE_FROM_BYTES && from.isReadable;
    const sent = sendFrom(to.fd, buffer, 0, received);
    if (sent === received) {
      to.isConnecting = false;
      return received;
    }
    from.keep(Buffer.from(buffer.bytes.subarray(Math.max(0, sent), received)));
    this.#noteSent(to, sent);
    return received;
  }

  /** As `#copy`, into the pipe. */
  #splice(from: End): number {
    const pipe = from.pipe as Pipe;
    const received = spliceBytes(from.fd, pipe.writeFd, pipe.sizeBytes, false);
    // Where nothing is there right now, more of the kind may come.
    if (received !== -EAGAIN) from.isBulk = received >= SPLICE_FROM_BYTES;
    if (received <= 0) return this.#noteRead(from, received);
    pipe.filled = received;
    return received;
  }

  /** Whether all that was read is sent. */
  #sendHeld(from: End, to: End): boolean {
    while (from.pending && to.isWritable && !to.isBroken) {
      const { pending } = from;
      const length = pending.copy(buffer.bytes, 0, 0, BUFFER_BYTES);
      const sent = sendFrom(to.fd, buffer, 0, length);
      this.#noteSent(to, sent);
      if (to.other === null) return false;
      if (sent > 0) from.keep(sent < pending.length ? pending.subarray(sent) : null);
    }
    const { pipe } = from;
    while (pipe && pipe.filled > 0 && to.isWritable && !to.isBroken) {
      const sent = spliceBytes(pipe.readFd, to.fd, pipe.filled, false);
      this.#noteSent(to, sent);
      if (sent > 0) pipe.filled -= sent;
    }
    return !from.isHolding;
  }

  #noteSent(to: End, result: number): void {
    if (result >= 0) to.isConnecting = false;
    else if (result === -EAGAIN) this.#awaitRoom(to);
    else if (to.isConnecting) this.#refused(to);
    else {
      // What it sent before is there to be read, and the error behind it.
      to.isBroken = true;
      to.isReadable = true;
      to.hasHungUp = true;
    }
  }

  #awaitRoom(end: End): void {
    end.isWritable = false;
    if (end.events & EPOLLOUT) return;
    end.events |= EPOLLOUT;
    if (end.isWatched) this.loop.add(end.fd, end.events, end);
  }

  /** What a read that brought nothing means. */
  #noteRead(from: End, result: number): number {
    from.isReadable = false;
    if (result === -EAGAIN) {
      from.hasHungUp = false;
      return 0;
    }
    if (result === 0) from.isAtEnd = true;
    else if (from.isConnecting) this.#refused(from);
    else from.abort();
    return 0;
  }

  #refused(upstream: End): void {
    upstream.other = null;
    this.#client.other = null;
    this.#upstream = null;
    this.#release(upstream);
    this.owner.onRefused();
  }

  #givePipe(end: End): void {
    if (end.pipe) this.pipes.give(end.pipe);
    end.pipe = null;
  }

  /** All that came from one end is with the other: now its end. */
  #passEnd(from: End, to: End): void {
    this.#givePipe(from);
    if (from.isAborted || (this.#isLossy && from.isBroken)) return this.#breakOff(to);
    // The last end of file goes out with close(2): one call less.
    if (to.isAtEnd && (from.isShut || from.isBroken)) return this.#close(false);
    if (to.isShut) return;
    to.isShut = true;
    endSending(to.fd);
  }

  /** `to` takes no more. What it sent before goes on to `from`, which is to learn if bytes of its own are lost. */
  #readOff(from: End, to: End): void {
    if (from.isHolding) this.#isLossy = true;
    from.keep(null);
    this.#givePipe(from);
    if (from.isBroken) return this.destroy();
    while (from.isReadable && !this.#isLossy) {
      const received = receiveInto(from.fd, buffer, 0, BUFFER_BYTES);
      if (received > 0) this.#isLossy = true;
      else this.#noteRead(from, received);
    }
    if (from.isAborted) return this.destroy();
    if (!to.isAtEnd || to.isHolding) {
      if (to.isReadable || to.isHolding) this.#move(to);
    } else if (this.#isLossy || to.isAborted) this.#breakOff(from);
    else if (from.isAtEnd) this.#close(false);
    else this.#move(to);
  }

  /** Resets both sides once `end` has what was sent to it: a reset would overtake it. */
  #breakOff(end: End): void {
    if (end.isBroken || undeliveredBytes(end.fd) === 0) return this.destroy();
    this.#last = end;
    const untilMs = this.loop.nowMs + DELIVERY_MS;
    const look = () => {
      if (this.#isClosed) return;
      if (undeliveredBytes(end.fd) === 0 || performance.now() > untilMs) return this.destroy();
      setTimeout(look, DELIVERY_LOOK_MS);
    };
    setTimeout(look, DELIVERY_LOOK_MS);
    this.loop.needTurn();
  }

  /** Breaks both sides off: each peer sees that something was lost. */
  destroy(): void {
    if (this.#isClosed) return;
    resetOnClose(this.#client.fd);
    if (this.#upstream) resetOnClose(this.#upstream.fd);
    this.#close(true);
  }

  #close(isBroken: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const upstream = this.#upstream;
    this.#release(this.#client);
    if (upstream && !(!isBroken && this.#giveBack(upstream))) this.#release(upstream);
    this.owner.onClosed(isBroken);
  }

  #giveBack(upstream: End): boolean {
    if (upstream.isBroken || !this.owner.takeBack) return false;
    if (!upstream.isShut) endSending(upstream.fd);
    return this.owner.takeBack(upstream.fd);
  }

  #release(end: End): void {
    this.#givePipe(end);
    end.keep(null);
    this.loop.forget(end.fd);
    closeFd(end.fd);
  }
}

/** Whether something waits to go on from one end, and the other takes it again. */
function canFlow(from: End, to: End): boolean {
  if (!to.isWritable || to.isConnecting) return false;
  return from.isHolding || from.isReadable || (from.isAtEnd && !to.isShut);
}
