import http from 'node:http';
import type { Socket } from 'node:net';
import { Refusal, type RefusalCode } from '../../ipc/refusals.js';
import type { HttpRefusal } from '../field-section.js';
import { answerToFraming, codeOfFraming, ownAnswerBytes } from '../refusal-answer.js';
import { type Connection, type EngineContext, noteRefusal } from './context.js';
import { HttpConnection } from './http-connection.js';
import { HttpExchange } from './http-exchange.js';
import { HttpRelay } from './http-relay.js';
import { serveRequest } from './http-service.js';

/** Twice what the framing guard lets through: Node counts otherwise. */
const NODE_HEAD_BYTES = 64 * 1024;
/** How much earlier clients are told that an idle connection ends. */
const IDLE_MARGIN_MS = 5_000;

interface FrontState {
  readonly client: Connection;
  /** Every request is refused with it. */
  readonly refusal: RefusalCode | null;
  exchange: HttpExchange | null;
}

/** Serves HTTP on connections, whether TLS was terminated for them or not. */
export class HttpFront {
  readonly #server: http.Server;
  readonly #relay: HttpRelay;
  readonly #connections = new Map<HttpConnection, FrontState>();
  #isDraining = false;

  constructor(private readonly context: EngineContext) {
    this.#relay = new HttpRelay(context);
    // Never listens: it gets its connections from `serve`. Time is kept by `HttpConnection`.
    this.#server = http.createServer({
      maxHeaderSize: NODE_HEAD_BYTES,
      insecureHTTPParser: false,
      requireHostHeader: false,
      requestTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: Math.max(1_000, context.limits.idleMs - IDLE_MARGIN_MS),
    });
    const begin = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      this.#begin(request, response);
    };
    this.#server.on('request', begin);
    this.#server.on('checkContinue', begin);
    this.#server.on('checkExpectation', begin);
    this.#server.on('clientError', (error, connection) => {
      this.#refuse(connection as unknown as HttpConnection, { status: 400, reason: error.message });
    });
  }

  /** `socket` carries HTTP in the clear (for `https`: the TLS socket). */
  serve(client: Connection, socket: Socket, refusal: RefusalCode | null): void {
    const { limits, sweeps } = this.context;
    const connection: HttpConnection = new HttpConnection(socket, {
      limits,
      sweeps,
      onRefusal: (found) => this.#refuse(connection, found),
    });
    connection.on('error', () => {});
    this.#connections.set(connection, { client, refusal, exchange: null });
    connection.once('close', () => this.#connections.delete(connection));
    if (refusal !== null || this.#isDraining) connection.isLast = true;
    this.#server.emit('connection', connection);
  }

  closePooled(service: string, instance: number): void {
    this.#relay.closePooled(service, instance);
  }

  /**
   * Ends idle connections of a listener (null: of all), and busy ones after their answer. `keepsIdle`:
   * those that were used a moment ago may bring one more request, which may be on its way.
   */
  closeWhenIdle(listener: string | null, keepsIdle: boolean): void {
    this.#isDraining ||= listener === null;
    for (const [connection, { client }] of this.#connections) {
      if (listener === null || client.listener.name === listener)
        connection.closeWhenIdle(keepsIdle);
    }
  }

  #begin(request: http.IncomingMessage, response: http.ServerResponse): void {
    const connection = request.socket as unknown as HttpConnection;
    const state = this.#connections.get(connection);
    const { head } = connection;
    if (state === undefined || head === null) {
      connection.destroy();
      return;
    }
    const { context } = this;
    const { client } = state;
    const exchange = new HttpExchange({ context, client, connection, head, request, response });
    state.exchange = exchange;
    // Before the exchange's own listener, which reads on: what comes next is no part of this one.
    response.prependOnceListener('finish', () => {
      state.exchange = null;
    });
    request.on('error', () => {});
    response.on('error', () => {});
    if (state.refusal !== null) exchange.refuse(new Refusal(state.refusal));
    else serveRequest(exchange, this.#relay).catch(() => connection.destroy());
  }

  #refuse(connection: HttpConnection, refusal: HttpRefusal): void {
    const state = this.#connections.get(connection);
    if (state === undefined) return;
    if (state.exchange !== null) {
      state.exchange.refuseFraming(refusal);
      return;
    }
    noteRefusal(this.context, state.client, codeOfFraming(refusal), null, refusal.reason);
    // A request that was answered before it had all come gets no second answer.
    connection.close(
      connection.head === null ? ownAnswerBytes(answerToFraming(refusal), 'close') : undefined,
    );
  }
}
