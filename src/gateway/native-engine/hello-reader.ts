import { closeFd } from '../../sys/descriptors.js';
import { EPOLLIN, EPOLLRDHUP } from '../../sys/epoll.js';
import type { EventHandler } from '../../sys/native-loop.js';
import { EAGAIN, endSending, receiveInto, sendFrom, TransferBuffer } from '../../sys/stream-io.js';
import { alertRecord, ClientHelloReader, unrecognizedNameAlert } from '../client-hello.js';
import type { RouteMatch } from '../engine.js';
import type { Accepted, NativeConnection, NativeContext } from './context.js';
import { END_EVENTS } from './end.js';

/** For a whole ClientHello since the connection was accepted, in milliseconds. */
const HELLO_MS = 10_000;
/** After an alert: so that it isn't lost to a reset, what the client still sends is read for that long. */
const LINGER_MS = 1000;
const BUFFER_BYTES = 16 * 1024;

const buffer = new TransferBuffer(BUFFER_BYTES);

export type OnHello = (
  accepted: Accepted,
  match: RouteMatch,
  name: string | null,
  bytes: Buffer,
) => void;

/** A connection of a `tls` listener until its ClientHello says where it leads; what was read is passed on. */
export class HelloConnection implements NativeConnection, EventHandler {
  readonly service = null;
  readonly isReach = false;
  readonly instance = null;
  readonly #reader = new ClientHelloReader();
  readonly #chunks: Buffer[] = [];
  #deadlineMs: number;
  #isLingering = false;

  constructor(
    private readonly context: NativeContext,
    private readonly accepted: Accepted,
    private readonly onHello: OnHello,
    helloMs = HELLO_MS,
  ) {
    this.#deadlineMs = context.loop.nowMs + helloMs;
    context.connections.add(this);
  }

  /**
   * Looks whether the hello is here already, and else waits for it. Throws a `SystemError` where the
   * client can't be watched; the descriptor is the caller's again then.
   */
  begin(): void {
    try {
      if (!this.#read()) this.context.loop.add(this.accepted.fd, END_EVENTS, this);
    } catch (thrown) {
      this.context.connections.delete(this);
      throw thrown;
    }
  }

  onEvents(): void {
    this.#read();
  }

  /** Whether nothing more is to be heard of the client here. */
  #read(): boolean {
    while (!this.#isLingering) {
      const received = receiveInto(this.accepted.fd, buffer, 0, BUFFER_BYTES);
      if (received === -EAGAIN) return false;
      if (received <= 0) {
        this.destroy();
        return true;
      }
      const chunk = buffer.bytes.subarray(0, received);
      if (this.#decide(chunk)) return true;
      this.#chunks.push(Buffer.from(chunk));
    }
    // One piece for each event: the rest comes with the next batch, after others had their turn.
    const received = receiveInto(this.accepted.fd, buffer, 0, BUFFER_BYTES);
    if (received > 0 || received === -EAGAIN) return false;
    this.destroy();
    return true;
  }

  /** Whether the connection is refused, or somebody else's now. */
  #decide(chunk: Buffer): boolean {
    const result = this.#reader.push(chunk);
    if (result.kind === 'need-more') return false;
    if (result.kind === 'refusal') {
      this.#refuse('bad-request', result.reason, alertRecord(result.alert));
      return true;
    }
    const { listener, destination } = this.accepted;
    const match = this.context.host.router.current.match(
      listener.name,
      destination,
      null,
      result.serverName,
    );
    if (!match) {
      this.#refuse('no-route', result.serverName ?? 'no server name', unrecognizedNameAlert());
      return true;
    }
    this.context.connections.delete(this);
    this.context.loop.park(this.accepted.fd);
    this.onHello(this.accepted, match, result.serverName, Buffer.concat([...this.#chunks, chunk]));
    return true;
  }

  #refuse(
    code: 'bad-request' | 'no-route' | 'request-timeout',
    detail: string,
    alert: Buffer | null,
  ): void {
    const { listener, source, fd } = this.accepted;
    this.context.host.logRefusal({ listener: listener.name, service: null, source, code, detail });
    if (!alert) {
      this.destroy();
      return;
    }
    alert.copy(buffer.bytes);
    sendFrom(fd, buffer, 0, alert.length);
    endSending(fd);
    this.#isLingering = true;
    this.#chunks.length = 0;
    this.#deadlineMs = performance.now() + LINGER_MS;
    // Level-triggered: what it still sends is read a piece at a time.
    this.context.loop.add(fd, EPOLLIN | EPOLLRDHUP, this);
  }

  sweep(nowMs: number): void {
    if (nowMs < this.#deadlineMs) return;
    if (this.#isLingering) this.destroy();
    else this.#refuse('request-timeout', 'no ClientHello in time', null);
  }

  destroy(): void {
    if (!this.context.connections.delete(this)) return;
    this.context.loop.forget(this.accepted.fd);
    closeFd(this.accepted.fd);
  }
}
