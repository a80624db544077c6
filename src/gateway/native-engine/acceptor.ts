import type { GatewayListener } from '../../ipc/gateway-config.js';
import type { RefusalCode } from '../../ipc/refusals.js';
import { closeFd } from '../../sys/descriptors.js';
import { EPOLLEXCLUSIVE, EPOLLIN } from '../../sys/epoll.js';
import { SystemError } from '../../sys/libc.js';
import type { EventHandler } from '../../sys/native-loop.js';
import { localAddress } from '../../sys/sockets.js';
import { acceptOn, EAGAIN, keepAlive, sendAtOnce } from '../../sys/stream-io.js';
import type { ListeningSocket } from '../engine.js';
import { sourceAddress } from '../source-address.js';
import { Accepted, type Destination, type NativeContext } from './context.js';

/** Accepted in one go, before those that are open have their turn. */
const BATCH = 32;
const KEEP_ALIVE_SECONDS = 60;
const EMFILE = 24;
const ENFILE = 23;
/** After the descriptors ran out, accepting pauses that long, in milliseconds. */
const PAUSE_MS = 100;

/** Accepts on one listening socket, which it owns. */
export class NativeAcceptor implements EventHandler {
  /** Known without asking where the socket is bound to one address; `undefined`: to be asked. */
  readonly #fixed: Destination | undefined;
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
    if (bound?.kind !== 'inet') this.#fixed = null;
    else {
      const isWildcard = bound.host === '0.0.0.0' || bound.host === '::';
      this.#fixed = isWildcard ? undefined : { ip: bound.host, port: bound.port };
      // Accepted connections inherit these (tcp(7), as Linux has it): set once, not for each.
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
      if (this.context.connections.size >= this.context.connectionLimit)
        return this.#pauseAccepting();
      const fd = acceptOn(this.socket.fd);
      if (fd >= 0) this.#accept(fd);
      else if (fd === -EMFILE || fd === -ENFILE) return this.#pauseAccepting();
      else if (fd === -EAGAIN) return;
    }
  }

  #accept(fd: number): void {
    const fixed = this.#fixed;
    const accepted = new Accepted(
      fd,
      this.listener,
      fixed === undefined ? destinationOf(fd) : fixed,
    );
    const refusal = this.context.host.admit(this.listener.name, sourceAddress(accepted.source));
    if (refusal !== null && !this.refuse) {
      this.#logRefusal(accepted.source, refusal);
      closeFd(fd);
      return;
    }
    try {
      if (refusal !== null) this.refuse?.(accepted, refusal);
      else this.serve(accepted);
    } catch (thrown) {
      // The kernel watches no more (epoll_ctl(2)): this client can't be served, others can.
      if (!(thrown instanceof SystemError)) throw thrown;
      this.#logRefusal(accepted.source, 'out-of-descriptors', thrown.message);
      closeFd(fd);
    }
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

function destinationOf(fd: number): Destination {
  const local = localAddress(fd);
  return local?.kind === 'inet' ? { ip: local.host, port: local.port } : null;
}
