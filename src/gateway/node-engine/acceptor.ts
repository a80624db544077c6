import net from 'node:net';
import type { RefusalCode } from '../../ipc/refusals.js';
import type { DescriptorBudget } from '../descriptor-budget.js';
import type { ListeningSocket } from '../engine.js';
import { type Connection, type EngineContext, noteRefusal } from './context.js';
import { destinationOf, sourceOf } from './endpoint.js';
import type { ListenerSettings } from './listener-settings.js';
import { prepareSocket } from './sockets.js';

const ERROR_LOG_EVERY_MS = 1_000;

export interface AcceptorOptions {
  readonly context: EngineContext;
  readonly budget: DescriptorBudget;
  readonly sockets: readonly ListeningSocket[];
  readonly listener: ListenerSettings;
  readonly serve: (connection: Connection) => void;
  /** Serves a connection that may not be served, where the protocol can say so. */
  readonly refuse: (connection: Connection, code: RefusalCode) => void;
}

/** Accepts on the sockets of one listener, which it owns. */
export class Acceptor {
  readonly #servers: net.Server[];
  #errorLoggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: AcceptorOptions) {
    this.#servers = options.sockets.map(({ fd }) => this.#listen(fd));
  }

  /** Stops accepting and closes the listening sockets; accepted connections go on. Idempotent. */
  close(): void {
    for (const server of this.#servers.splice(0)) server.close();
  }

  #listen(fd: number): net.Server {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    server.on('error', (error) => this.#noteError(error));
    let isUnix: boolean | null = null;
    server.on('connection', (socket) => {
      isUnix ??= isUnixServer(server);
      this.#accept(socket, isUnix);
    });
    return server.listen({ fd }, this.options.context.limits.backlog);
  }

  #accept(socket: net.Socket, isUnix: boolean): void {
    prepareSocket(socket);
    const { context, budget, listener, serve, refuse } = this.options;
    const source = sourceOf(socket, isUnix);
    const destination = destinationOf(socket, isUnix);
    if (source === null || destination === null) {
      socket.destroy();
      return;
    }
    const connection = { socket, listener, source, destination };
    if (!budget.take()) {
      noteRefusal(context, connection, 'out-of-descriptors');
      socket.destroy();
      return;
    }
    socket.once('close', () => budget.give());
    const refusal = context.host.admit(listener.name, source.address?.ip ?? source.text);
    if (refusal === null) serve(connection);
    else refuse(connection, refusal);
  }

  /** `accept` failed: the server goes on by itself, so this is only worth a line now and then. */
  #noteError(error: NodeJS.ErrnoException): void {
    const nowMs = performance.now();
    if (nowMs - this.#errorLoggedAtMs < ERROR_LOG_EVERY_MS) return;
    this.#errorLoggedAtMs = nowMs;
    this.options.context.host.logRefusal({
      listener: this.options.listener.name,
      service: null,
      source: '',
      code: 'out-of-descriptors',
      detail: error.message,
    });
  }
}

function isUnixServer(server: net.Server): boolean {
  const address = server.address();
  return address === null || typeof address === 'string';
}
