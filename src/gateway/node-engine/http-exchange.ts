import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Refusal } from '../../ipc/refusals.js';
import type { RouteMatch } from '../engine.js';
import type { HttpRefusal } from '../field-section.js';
import { answerToFraming, answerToRefusal, codeOfFraming } from '../refusal-answer.js';
import type { RequestHead } from '../request-head.js';
import { type Connection, type EngineContext, noteRefusal } from './context.js';
import { answer } from './http-answer.js';
import type { HttpConnection } from './http-connection.js';

/** nginx's way to say in a log that the client left before the answer. */
const STATUS_CLIENT_LEFT = 499;

export interface ExchangeParts {
  readonly context: EngineContext;
  readonly client: Connection;
  readonly connection: HttpConnection;
  readonly head: RequestHead;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** One request and its answer, from the head to the log. */
export class HttpExchange implements ExchangeParts {
  readonly context: EngineContext;
  readonly client: Connection;
  readonly connection: HttpConnection;
  readonly head: RequestHead;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborts when nobody waits for the answer any more, or nobody may get one. */
  readonly abort = new AbortController();
  readonly beganMs = performance.now();
  heldMs = 0;
  match: RouteMatch | null = null;
  /** The answer's end is where the connection closes. */
  isDelimitedByClose = false;
  isRefused = false;
  #isLogged = false;
  readonly #bytesInBefore: number;
  readonly #bytesOutBefore: number;

  constructor(parts: ExchangeParts) {
    this.context = parts.context;
    this.client = parts.client;
    this.connection = parts.connection;
    this.head = parts.head;
    this.request = parts.request;
    this.response = parts.response;
    this.#bytesInBefore = parts.connection.bytesIn - parts.head.rawBytes.length;
    this.#bytesOutBefore = parts.connection.bytesOut;
    this.response.once('finish', () => this.connection.finishRequest());
    this.response.once('close', () => {
      if (!this.response.writableFinished) this.abort.abort();
    });
  }

  /** The connection can't go on: it was the last request, or its body is still to come. */
  get mustClose(): boolean {
    const isAllHere = this.head.framing.kind === 'none' || this.request.complete;
    return !isAllHere || this.connection.isLast;
  }

  /** Answers with a refusal; where the answer has begun, breaks it off. */
  refuse(refusal: Refusal): void {
    if (this.isRefused) return;
    this.isRefused = true;
    const service = this.match?.service ?? null;
    noteRefusal(this.context, this.client, refusal.code, service, refusal.detail);
    if (this.response.headersSent) this.breakOff();
    else answer(this.response, answerToRefusal(refusal), this.mustClose);
    this.abort.abort();
  }

  /** What the client sends within this request can't be read in one way only, or comes too late. */
  refuseFraming(refusal: HttpRefusal): void {
    if (this.isRefused) return;
    this.isRefused = true;
    const service = this.match?.service ?? null;
    noteRefusal(this.context, this.client, codeOfFraming(refusal), service, refusal.reason);
    if (this.response.headersSent) this.breakOff();
    else answer(this.response, answerToFraming(refusal), true);
    this.abort.abort();
  }

  /** The answer stays unfinished, and the client is to notice. */
  breakOff(): void {
    if (this.response.writableFinished) this.connection.close();
    else this.connection.breakOff(this.isDelimitedByClose);
  }

  /** A line in the access log, unless the request was refused. Once. */
  logAccess(moved?: {
    readonly bytesIn: number;
    readonly bytesOut: number;
    readonly status: number;
  }): void {
    if (this.#isLogged || this.isRefused || this.match === null) return;
    this.#isLogged = true;
    const { client, head, response, connection } = this;
    const isAnswered = moved !== undefined || response.headersSent;
    this.context.host.logAccess({
      listener: client.listener.name,
      service: this.match.service,
      source: client.source.text,
      destination: client.destination.text,
      name: head.host,
      method: head.method,
      target: head.target,
      status: moved?.status ?? (isAnswered ? response.statusCode : STATUS_CLIENT_LEFT),
      bytesIn: moved?.bytesIn ?? connection.bytesIn - this.#bytesInBefore,
      bytesOut: moved?.bytesOut ?? connection.bytesOut - this.#bytesOutBefore,
      durationMs: performance.now() - this.beganMs,
      heldMs: this.heldMs,
    });
  }
}
