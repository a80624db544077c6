import { Refusal } from '../../../ipc/refusals.js';
import type { Demand, RouteMatch } from '../../engine.js';
import type { HttpRefusal } from '../../field-section.js';
import {
  answerToFraming,
  answerToRefusal,
  codeOfFraming,
  httpsLocation,
  type OwnAnswer,
  redirectTo,
} from '../../refusal-answer.js';
import type { RequestHead } from '../../request-head.js';
import { refusalOf } from '../context.js';
import type { ClientConnection } from './client-connection.js';
import { OutgoingHead } from './outgoing-head.js';
import { RelayedRequest } from './relayed-request.js';
import type { ServicePath } from './service-path.js';

/** nginx's way to say in a log that the client left before the answer. */
const STATUS_CLIENT_LEFT = 499;

/** One request and its answer, from the head to the log. */
export class Exchange {
  /** All of the request has been read. */
  isRequestEnded = false;
  /** Answered, refused, or given up. */
  isOver = false;
  bytesIn: number;
  #match: RouteMatch | null = null;
  #relayed: RelayedRequest | null = null;
  #abort: AbortController | null = null;
  #heldMs = 0;
  #isLogged = false;

  constructor(
    readonly client: ClientConnection,
    /** Of its texts only those that were settled are to be had after `begin`. */
    readonly head: RequestHead,
    private readonly beganMs: number,
  ) {
    this.bytesIn = head.end - head.base;
  }

  /** Decides what becomes of the request, as far as that is known at once. */
  begin(): void {
    const { client, head } = this;
    const { host } = client.front.context;
    const { listener, accepted } = client;
    if (client.refusal !== null) return this.refuse(new Refusal(client.refusal));
    if (listener.redirect === 'https') return this.#redirect();
    const table = host.router.current;
    const place = head.hasAuthority ? head.place : null;
    const match = table.matchHost(listener.name, accepted.destination, head.bytes, place);
    if (!match) return this.refuse(new Refusal('no-route', null, head.host ?? 'no host'));
    this.#match = match;
    const path = client.front.pathOf(match, table);
    if (!path) return this.refuse(new Refusal('no-route', null, head.host ?? 'no host'));
    this.#isLogged = host.logsAccess;
    if (this.#isLogged) head.settle();
    try {
      this.#relayOrHold(path);
    } catch (thrown) {
      this.refuseThrown(thrown);
    }
  }

  #relayOrHold(path: ServicePath): void {
    const { uses } = path;
    const { instance } = uses;
    if (instance === null) return this.#hold(path);
    uses.begin(this.client.origin.sourceIp, this.beganMs);
    this.#relay(new RelayedRequest(this, path, instance, null), null);
  }

  /** Who asks for which service, for those who keep it. */
  describeDemand({ service, upstream }: RouteMatch): Demand {
    const { listener, source, destinationText } = this.client.accepted;
    return {
      service,
      upstream,
      listener: listener.name,
      protocol: listener.protocol,
      source,
      destination: destinationText,
    };
  }

  #redirect(): void {
    const { host, path } = this.head;
    if (host === null) return this.refuse(new Refusal('bad-request', null, 'no host'));
    this.#answer(redirectTo(httpsLocation(host, path)));
  }

  #hold(path: ServicePath): void {
    const { host, loop } = this.client.front.context;
    const outgoing = this.compose(false);
    if (outgoing === null) return;
    outgoing.keep();
    this.head.settle();
    this.#abort = new AbortController();
    loop.needTurn();
    host.acquire(this.describeDemand(path.match), this.#abort.signal).then(
      (use) => {
        this.#abort = null;
        this.#heldMs = this.client.front.context.loop.nowMs - this.beganMs;
        if (this.isOver) use.end();
        else this.#relay(new RelayedRequest(this, path, use.instance, use), outgoing);
        // What came of a body meanwhile waits, where a pooled connection took the head at once.
        this.moveUpload();
      },
      (thrown) => this.refuseThrown(thrown),
    );
  }

  #relay(relayed: RelayedRequest, outgoing: OutgoingHead | null): void {
    this.#relayed = relayed;
    try {
      relayed.start(outgoing);
    } catch (thrown) {
      this.refuseThrown(thrown);
    }
  }

  /** The head for the upstream; null: it was refused. `mayRepeat`: it may have to be sent again. */
  compose(mayRepeat: boolean): OutgoingHead | null {
    const outgoing = new OutgoingHead();
    if (outgoing.compose(this.head, this.client.origin, mayRepeat)) return outgoing;
    this.refuse(new Refusal('headers-too-large', null, 'too large to send on'));
    return null;
  }

  /** Bytes of the body that came with the head; returns how far they were taken. */
  takeBody(bytes: Buffer, from: number, to: number): number {
    return this.#relayed?.takeBody(bytes, from, to) ?? from;
  }

  onClientEvents(isWritable: boolean): void {
    this.#relayed?.onClientEvents(isWritable);
  }

  /** Reads on in the body of the request. */
  moveUpload(): void {
    this.#relayed?.moveUpload();
  }

  sweep(nowMs: number): void {
    this.#relayed?.sweep(nowMs);
  }

  onClientLeft(): void {
    if (this.isOver) return;
    this.#end();
    this.#logAccess();
    if (!this.#abort) return;
    this.client.front.context.loop.needTurn();
    this.#abort.abort();
  }

  /** The answer is all sent; `closes`: the client's connection can't go on. */
  onAnswered(closes: boolean): void {
    this.isOver = true;
    this.#logAccess();
    this.client.requestDone(closes);
  }

  refuseThrown(thrown: unknown): void {
    const refusal = refusalOf(thrown);
    if (refusal && !this.isOver) this.refuse(refusal);
  }

  /** Answers with a refusal; where the answer has begun, breaks it off. */
  refuse(refusal: Refusal): void {
    this.#refuseWith(refusal.code, refusal.detail, answerToRefusal(refusal));
  }

  /** What the client sends within this request can't be read in one way only, or comes too late. */
  refuseFraming(refusal: HttpRefusal): void {
    if (this.isOver) return;
    this.client.isLast = true;
    this.#refuseWith(codeOfFraming(refusal), refusal.reason, answerToFraming(refusal));
  }

  #refuseWith(code: string, detail: string, answer: OwnAnswer): void {
    const { client } = this;
    const { name } = client.listener;
    const { source } = client.accepted;
    const service = this.#match?.service ?? null;
    client.front.context.host.logRefusal({ listener: name, service, source, code, detail });
    const relayed = this.#relayed;
    if (!relayed?.download.isHeadSent) return this.#answer(answer);
    this.#end();
    client.breakOff(relayed.isDelimitedByClose);
  }

  #answer(answer: OwnAnswer): void {
    const { client, head } = this;
    const closes = client.isLast || !this.isRequestEnded;
    this.#end();
    client.answer(answer, closes, head);
    client.requestDone(closes);
  }

  #end(): void {
    this.isOver = true;
    this.#relayed?.release(false);
  }

  #logAccess(): void {
    const relayed = this.#relayed;
    const status = relayed?.status ?? STATUS_CLIENT_LEFT;
    this.logAccess(status, this.bytesIn, relayed?.download.bytesOut ?? 0);
  }

  logAccess(status: number, bytesIn: number, bytesOut: number): void {
    const { client, head } = this;
    if (!this.#match || !this.#isLogged) return;
    client.front.context.host.logAccess({
      listener: client.listener.name,
      service: this.#match.service,
      source: client.accepted.source,
      destination: client.accepted.destinationText,
      name: head.host,
      method: head.method,
      target: head.target,
      status,
      bytesIn,
      bytesOut,
      durationMs: this.client.front.context.loop.nowMs - this.beganMs,
      heldMs: this.#heldMs,
    });
  }
}
