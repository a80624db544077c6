import http from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Use } from '../engine.js';
import { prepareSocket } from './sockets.js';

/** Servers say when they close an idle connection; we are that much earlier. */
const HINT_MARGIN_MS = 1_000;

/** For `addRequest`: the use that dials where no pooled connection is left. */
export interface PoolRequestOptions extends http.RequestOptions {
  readonly use: Use;
}

/** What `http.Agent` has and its types leave out. */
interface AgentInternals {
  addRequest(request: http.ClientRequest, options: http.RequestOptions): void;
}

/** The keep-alive connections to one upstream of one instance. */
export class UpstreamPool extends http.Agent {
  isClosed = false;
  readonly #pooledMs: number;
  readonly #open = new Set<Socket>();

  constructor(pooledMs: number) {
    super({ keepAlive: true, maxFreeSockets: 1024 });
    this.#pooledMs = pooledMs;
  }

  /** Sends a request on a pooled connection, else on one that its use dials. */
  send(request: http.ClientRequest, options: PoolRequestOptions): void {
    (this as unknown as AgentInternals).addRequest(request, options);
  }

  /** Closes the connections that carry no request. */
  closeIdle(): void {
    for (const sockets of Object.values(this.freeSockets)) {
      for (const socket of sockets ?? []) socket.destroy();
    }
  }

  /** Closes all; requests that they carry fail. */
  closeAll(): void {
    this.isClosed = true;
    for (const socket of this.#open) socket.destroy();
  }

  override createConnection(
    options: PoolRequestOptions,
    done: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    options.use.dial().then(
      (socket) => {
        prepareSocket(socket);
        // What the server has ended takes no more requests.
        socket.allowHalfOpen = false;
        this.#open.add(socket);
        socket.once('close', () => this.#open.delete(socket));
        if (this.isClosed) socket.destroy();
        done(null, socket);
      },
      (error: Error) => done(error, undefined as unknown as Duplex),
    );
  }

  /** All requests of a pool go to the same place. */
  override getName(): string {
    return '';
  }

  override keepSocketAlive(
    socket: Socket & { _httpMessage?: { res?: http.IncomingMessage } },
  ): boolean {
    // What came without a request would be taken for the answer to the next one.
    if (this.isClosed || socket.readableLength > 0) return false;
    const keepAlive = socket._httpMessage?.res?.headers['keep-alive']?.toString() ?? '';
    const hint = /timeout=(\d+)/.exec(keepAlive)?.[1];
    const hintMs = hint === undefined ? Infinity : Number(hint) * 1_000 - HINT_MARGIN_MS;
    const idleMs = Math.min(this.#pooledMs, hintMs);
    if (idleMs <= 0) return false;
    socket.setTimeout(idleMs);
    socket.on('data', destroyItself);
    socket.unref();
    return true;
  }

  override reuseSocket(socket: Socket, request: http.ClientRequest): void {
    super.reuseSocket(socket, request);
    socket.off('data', destroyItself);
    socket.setTimeout(0);
  }
}

function destroyItself(this: Socket): void {
  this.destroy();
}
