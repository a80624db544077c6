import type { GatewayListener } from '../../ipc/gateway-config.js';
import type { RefusalCode } from '../../ipc/refusals.js';
import { closeFd } from '../../sys/descriptors.js';
import { EPOLLEXCLUSIVE, EPOLLIN } from '../../sys/epoll.js';
import type { EventHandler } from '../../sys/native-loop.js';
import { localAddress } from '../../sys/sockets.js';
import { acceptedFrom, acceptOn, EAGAIN, keepAlive, sendAtOnce } from '../../sys/stream-io.js';
import type { ListeningSocket } from '../engine.js';
import { type Accepted, endpointText, type NativeContext } from './context.js';

/** Accepted in one go, before those that are open have their turn. */
const BATCH = 32;
const KEEP_ALIVE_SECONDS = 60;
const EMFILE = 24;
const ENFILE = 23;
/** After the descriptors ran out, accepting pauses that long, in milliseconds. */
const PAUSE_MS = 100;

/** Accepts on one listening socket, which it owns. */
export class NativeAcceptor implements EventHandler {
  /** Known without asking where the socket is bound to one address. */
  readonly #fixed: { ip: string; port: number } | null;
  readonly #isUnix: boolean;
  readonly #fixedText: string;
  #pause: NodeJS.Timeout | null = null;

  constructor(
    private readonly context: NativeContext,
    public listener: GatewayListener,
    private readonly socket: ListeningSocket,
    private readonly serve: (accepted: Accepted) => void,
    /** Serves a connection that may not be served, where the protocol can say so; null: it can't. */
    private readonly refuse: ((accepted: Accepted, code: RefusalCode) => void) | null,
  ) {
    const bound = localAddress(socket.fd);
    const isWildcard = bound?.kind === 'inet' && (bound.host === '0.0.0.0' || bound.host === '::');
    this.#isUnix = bound?.kind !== 'inet';
    this.#fixed =
      bound?.kind === 'inet' && !isWildcard ? { ip: bound.host, port: bound.port } : null;
    this.#fixedText = endpointText(bound);
    // Accepted connections inherit these (tcp(7), as Linux has it): set once, not for each.
    if (!this.#isUnix) {
      sendAtOnce(socket.fd);
      keepAlive(socket.fd, KEEP_ALIVE_SECONDS);
    }
    this.#watch();
  }

  #watch(): void {
    this.context.loop.add(this.socket.fd, EPOLLIN | EPOLLEXCLUSIVE, this);
  }

  onEvents(): void {
    for (let count = 0; count < BATCH; count += 1) {
      const fd = acceptOn(this.socket.fd);
      if (fd < 0) {
        if (fd === -EMFILE || fd === -ENFILE) this.#pauseAccepting();
        if (fd === -EAGAIN || fd === -EMFILE || fd === -ENFILE) return;
        continue;
      }
      this.#accept(fd);
    }
  }

  #accept(fd: number): void {
    const { host } = this.context;
    const { listener } = this;
    const from = this.#isUnix ? null : acceptedFrom();
    const source = endpointText(from);
    const isFull = this.context.connections.size >= this.context.connectionLimit;
    const refusal = isFull
      ? 'out-of-descriptors'
      : host.admit(listener.name, from?.kind === 'inet' ? from.host : 'unix:');
    if (isFull || (refusal !== null && !this.refuse)) {
      this.#logRefusal(source, refusal ?? 'out-of-descriptors');
      closeFd(fd);
      return;
    }
    const destination = this.#fixed ?? this.#destinationOf(fd);
    const destinationText =
      this.#fixed || !destination
        ? this.#fixedText
        : endpointText({ kind: 'inet', host: destination.ip, port: destination.port });
    const accepted = { fd, listener, source, destination, destinationText };
    if (refusal !== null) this.refuse?.(accepted, refusal);
    else this.serve(accepted);
  }

  #destinationOf(fd: number): { ip: string; port: number } | null {
    const local = this.#isUnix ? null : localAddress(fd);
    return local?.kind === 'inet' ? { ip: local.host, port: local.port } : null;
  }

  #logRefusal(source: string, code: RefusalCode, detail = ''): void {
    this.context.host.logRefusal({
      listener: this.listener.name,
      service: null,
      source,
      code,
      detail,
    });
  }

  /** Nobody can be accepted until descriptors are free; those who wait stay in the accept queue. */
  #pauseAccepting(): void {
    if (this.#pause) return;
    this.#logRefusal('', 'out-of-descriptors', 'accepting pauses');
    const { loop } = this.context;
    loop.remove(this.socket.fd);
    this.#pause = setTimeout(() => {
      this.#pause = null;
      this.#watch();
    }, PAUSE_MS);
    loop.needTurn();
  }

  close(): void {
    if (this.#pause) clearTimeout(this.#pause);
    else this.context.loop.remove(this.socket.fd);
    closeFd(this.socket.fd);
  }
}
