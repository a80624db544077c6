import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type { Socket } from 'node:net';
import type httpProxy from 'http-proxy';
import { messageOf } from '../../base/errors.js';
import { Refusal } from '../../ipc/refusals.js';
import type { RouteMatch, Use } from '../engine.js';
import { headersForUpstream, offersUpgrade } from '../upstream-headers.js';
import { refusalOf } from './context.js';
import { flushHead } from './flush-head.js';
import { originOf, trailersOf } from './forwarded-headers.js';
import type { HttpExchange } from './http-exchange.js';
import { relayInformation, relayResponse } from './relayed-response.js';
import { relayUpgraded } from './upgrade.js';
import type { UpstreamPool } from './upstream-pool.js';

/** http-proxy wants one; where the request goes is up to the pool. */
const TARGET = { protocol: 'http:', host: 'localhost', port: 80 };
/** Doing it twice is as good as once (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'DELETE', 'PUT']);

/**
 * A request on its way to an upstream, and its use of the instance. http-proxy sends it and pipes
 * the body; the request line and headers it would have changed (slashes joined, names in lower
 * case, duplicates merged) are set by the agent that it is given, before anything is sent.
 */
export class RelayedRequest {
  #current: ClientRequest | null = null;
  #answer: IncomingMessage | null = null;
  #isRetried = false;
  #isUpgraded = false;
  #openParts = 2;

  constructor(
    private readonly proxy: httpProxy,
    private readonly exchange: HttpExchange,
    private readonly match: RouteMatch,
    private readonly use: Use,
    private readonly pool: UpstreamPool,
  ) {
    const { request, head, abort, response, connection } = exchange;
    if (head.framing.kind === 'chunked') {
      // Before http-proxy's own listener, which ends the upstream's request.
      request.once('end', () => this.#current?.addTrailers(trailersOf(request)));
    }
    abort.signal.addEventListener('abort', () => this.#abandon());
    response.once('close', () => this.#closePart());
    connection.once('close', this.#onConnectionClose);
  }

  send(): void {
    const { request, response, abort, connection, head } = this.exchange;
    if (abort.signal.aborted) {
      this.#release();
      return;
    }
    if (!head.expectContinue) connection.awaitBody();
    // http-proxy copies these; all of them are set in #prepare.
    request.headers = {};
    const agent = {
      defaultPort: 80,
      protocol: 'http:',
      keepAlive: true,
      maxSockets: Number.POSITIVE_INFINITY,
      options: {},
      addRequest: (upstreamRequest: ClientRequest, options: RequestOptions) => {
        this.#prepare(upstreamRequest);
        this.pool.send(upstreamRequest, { ...options, use: this.use });
      },
    };
    const options = { target: TARGET, agent: agent as unknown as Agent };
    const attempt = this.#isRetried;
    try {
      this.proxy.web(request, response, options, (error) => {
        if (attempt === this.#isRetried) this.#fail(error);
      });
    } catch (error) {
      this.exchange.refuse(new Refusal('upstream-failed', null, messageOf(error)));
      this.#closePart();
    }
  }

  #prepare(upstreamRequest: ClientRequest): void {
    const { head, client } = this.exchange;
    this.#current = upstreamRequest;
    upstreamRequest.path = head.path;
    upstreamRequest.removeHeader('host');
    for (const { name, values } of groupByName(headersForUpstream(head, originOf(client)))) {
      upstreamRequest.setHeader(name, values.length === 1 ? (values[0] ?? '') : values);
    }
    if (head.framing.kind === 'none') upstreamRequest.useChunkedEncodingByDefault = false;
    this.#listen(upstreamRequest);
    // The client may wait for what the service makes of the head.
    if (head.framing.kind !== 'none') flushHead(upstreamRequest);
  }

  #listen(upstreamRequest: ClientRequest): void {
    const isCurrent = (): boolean => upstreamRequest === this.#current;
    // A dialled socket is paused until somebody listens: now.
    upstreamRequest.once('socket', (socket) => socket.resume());
    upstreamRequest.on('information', (information) => {
      relayInformation(this.exchange, information);
    });
    upstreamRequest.once('response', (response: IncomingMessage) => {
      this.#answer = response;
      relayResponse(this.exchange, response);
    });
    upstreamRequest.once('upgrade', (response: IncomingMessage, socket: Socket, bytes: Buffer) => {
      this.#takeUpgrade(response, socket, bytes);
    });
    upstreamRequest.once('close', () => {
      if (!isCurrent()) return;
      if (this.#answer === null) this.#fail(new Error('closed without an answer'));
      if (isCurrent()) this.#closePart();
    });
  }

  #takeUpgrade(response: IncomingMessage, socket: Socket, bytes: Buffer): void {
    if (!offersUpgrade(this.exchange.head)) {
      socket.destroy();
      this.#fail(new Error('changed the protocol unasked'));
      return;
    }
    this.#isUpgraded = true;
    // http-proxy would break off what it takes for a request that was given up.
    this.exchange.request
      .removeAllListeners('aborted')
      .removeAllListeners('error')
      .on('error', ignore);
    socket.allowHalfOpen = true;
    const { exchange, match, use } = this;
    relayUpgraded({ exchange, match, use, response, upstream: socket, bytes });
  }

  #fail(error: Error): void {
    if (this.#isUpgraded) return;
    this.#stopUpload();
    if (this.exchange.abort.signal.aborted) return;
    if (this.#answer !== null) {
      // Node would take what came for all of it, where only the connection's end could tell.
      if (!this.#answer.complete) this.exchange.breakOff();
      return;
    }
    if (this.#mayRetry()) {
      this.#isRetried = true;
      this.pool.closeIdle();
      this.send();
      return;
    }
    const refusal = error instanceof Refusal ? refusalOf(error) : null;
    this.exchange.refuse(refusal ?? new Refusal('upstream-failed', null, error.message));
  }

  /** After the answer nobody takes the rest of the request's body. */
  #stopUpload(): void {
    const { request, response, connection } = this.exchange;
    if (response.writableFinished && !request.complete) connection.close();
  }

  /** A pooled connection may have been closed by the server just before. */
  #mayRetry(): boolean {
    const { head } = this.exchange;
    return (
      !this.#isRetried &&
      this.#current?.reusedSocket === true &&
      !this.pool.isClosed &&
      head.framing.kind === 'none' &&
      IDEMPOTENT.has(head.method)
    );
  }

  /** The client left, or was refused. */
  #abandon(): void {
    const { response, isRefused } = this.exchange;
    if (!this.#isUpgraded && (isRefused || !response.writableFinished)) this.#current?.destroy();
  }

  readonly #onConnectionClose = (): void => {
    if (!this.#isUpgraded) this.#current?.destroy();
  };

  /** The use ends when the client has the answer and the upstream the request. */
  #closePart(): void {
    this.#openParts -= 1;
    if (this.#openParts > 0 || this.#isUpgraded) return;
    this.#stopUpload();
    this.#release();
  }

  #release(): void {
    this.exchange.connection.off('close', this.#onConnectionClose);
    this.use.end();
    this.exchange.logAccess();
  }
}

function ignore(): void {}

/** Lines of one name stay separate lines, but stand together. */
function groupByName(
  fields: ReadonlyArray<{ readonly name: string; readonly value: string }>,
): Iterable<{ readonly name: string; readonly values: string[] }> {
  const groups = new Map<string, { name: string; values: string[] }>();
  for (const { name, value } of fields) {
    const group = groups.get(name.toLowerCase());
    if (group === undefined) groups.set(name.toLowerCase(), { name, values: [value] });
    else group.values.push(value);
  }
  return groups.values();
}
