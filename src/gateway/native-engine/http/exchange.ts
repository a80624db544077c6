import { Refusal } from '../../../ipc/refusals.js';
import { closeFd } from '../../../sys/descriptors.js';
import type { NativeLoop } from '../../../sys/native-loop.js';
import { encodeSocketAddress } from '../../../sys/socket-address.js';
import { startConnecting } from '../../../sys/stream-io.js';
import type { Demand, RouteMatch, UpstreamSocket, Use } from '../../engine.js';
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
import { offersUpgrade } from '../../upstream-headers.js';
import { refusalOf } from '../context.js';
import type { PipePool } from '../pipe-pool.js';
import type { ClientConnection } from './client-connection.js';
import { Download } from './download.js';
import { output } from './peer.js';
import { writeRequestHead } from './request-head-writer.js';
import type { ResponseFacts } from './response-head.js';
import { UpgradedConnection } from './upgraded-connection.js';
import { Upload } from './upload.js';
import type { UpstreamConnection } from './upstream-connection.js';
import type { UpstreamPool } from './upstream-pool.js';

/** nginx's way to say in a log that the client left before the answer. */
const STATUS_CLIENT_LEFT = 499;
/** Doing it twice is as good as once (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'DELETE', 'PUT']);
/** A server that is ready may refuse for a moment: dialled again at growing intervals, in milliseconds. */
const REDIAL_FIRST_MS = 2;
const REDIAL_FOR_MS = 1000;

/** One request and its answer, from the head to the log. */
export class Exchange {
  upstream: UpstreamConnection | null = null;
  /** All of the request has been read. */
  isRequestEnded = false;
  /** Answered, refused, or given up. */
  isOver = false;
  bytesIn: number;
  readonly #download: Download;
  #upload: Upload | null = null;
  #match: RouteMatch | null = null;
  #use: Use | null = null;
  #abort: AbortController | null = null;
  /** The head to be sent, as long as that may be wanted again. */
  #outgoing: Buffer | null = null;
  #isHeadOut = false;
  #isUploadBroken = false;
  #isAnswered = false;
  #isRetried = false;
  /** The client was told to send the body, or doesn't wait for that. */
  #isBodyAwaited: boolean;
  #heldMs = 0;
  #redialMs = REDIAL_FIRST_MS;
  #dialedMs = 0;

  constructor(
    private readonly client: ClientConnection,
    /** Its `rawBytes` and `headers` are gone after `begin`. */
    readonly head: RequestHead,
    private readonly beganMs: number,
  ) {
    this.bytesIn = head.rawBytes.length;
    this.#isBodyAwaited = !head.expectContinue;
    this.#download = new Download(this, client);
  }

  get loop(): NativeLoop {
    return this.client.front.context.loop;
  }

  get pipes(): PipePool {
    return this.client.front.context.pipes;
  }

  get isForHead(): boolean {
    return this.head.method === 'HEAD';
  }

  get isDownloading(): boolean {
    return !this.isOver && !this.#isAnswered && this.upstream !== null;
  }

  get isUploading(): boolean {
    return !this.isOver && !this.#isUploadBroken && this.#isHeadOut && this.upstream !== null;
  }

  /** Decides what becomes of the request, as far as that is known at once. */
  begin(): void {
    const { client, head } = this;
    const { context } = client.front;
    const { listener, accepted } = client;
    if (client.refusal !== null) return this.refuse(new Refusal(client.refusal));
    if (listener.redirect === 'https') return this.#redirect();
    const table = context.host.router.current;
    const match = table.match(listener.name, accepted.destination, head.host, null);
    if (!match) return this.refuse(new Refusal('no-route', null, head.host ?? 'no host'));
    this.#match = match;
    try {
      const demand = this.#demandFor(match);
      const use = context.host.tryAcquire(demand);
      if (use) this.#send(use);
      else this.#hold(demand);
    } catch (thrown) {
      this.#refuseThrown(thrown);
    }
  }

  #demandFor({ service, upstream }: RouteMatch): Demand {
    const { listener, source, destinationText } = this.client.accepted;
    return {
      service,
      upstream,
      listener: listener.name,
      protocol: listener.protocol,
      source,
      destination: destinationText,
      name: this.head.host,
    };
  }

  #redirect(): void {
    const { host, path } = this.head;
    if (host === null) return this.refuse(new Refusal('bad-request', null, 'no host'));
    this.#answer(redirectTo(httpsLocation(host, path)));
  }

  #hold(demand: Demand): void {
    const { host } = this.client.front.context;
    if (!this.#composeForLater()) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.loop.needTurn();
    host.acquire(demand, abort.signal).then(
      (use) => {
        this.#heldMs = performance.now() - this.beganMs;
        if (this.isOver) use.end();
        else this.#send(use);
      },
      (thrown) => this.#refuseThrown(thrown),
    );
  }

  /** False: it was refused. */
  #composeForLater(): boolean {
    const length = this.#compose();
    if (length < 0) return false;
    this.#outgoing = Buffer.from(output.bytes.subarray(0, length));
    return true;
  }

  /** The length of the outgoing head in `output`; negative: it was refused. */
  #compose(): number {
    const { accepted, listener } = this.client;
    const length = writeRequestHead(this.head, {
      protocol: 'http',
      peerIp: ipOf(accepted.source),
      isTrusted: listener.isTrusted,
      destination: accepted.destination,
      destinationText: accepted.destinationText,
    });
    if (length < 0) this.refuse(new Refusal('headers-too-large', null, 'too large to send on'));
    return length;
  }

  #send(use: Use): void {
    this.#use = use;
    const isRepeatable = this.head.framing.kind === 'none' && IDEMPOTENT.has(this.head.method);
    const pooled = this.#pool().take(performance.now(), !isRepeatable);
    if (pooled === null) {
      if (this.#outgoing !== null || this.#composeForLater()) this.#dial();
      return;
    }
    if (isRepeatable && this.#outgoing === null && !this.#composeForLater()) return;
    this.#attach(pooled);
    this.#sendHead();
  }

  #pool(): UpstreamPool {
    const { service, instance } = this.#use as Use;
    const { upstream } = this.#match as RouteMatch;
    return this.client.front.pools.of(service, instance, upstream);
  }

  #attach(upstream: UpstreamConnection): void {
    this.upstream = upstream;
    upstream.exchange = this;
  }

  #sendHead(): void {
    const { peer } = this.upstream as UpstreamConnection;
    this.#isHeadOut = true;
    if (this.#outgoing !== null) peer.sendBytes(this.#outgoing);
    else {
      const length = this.#compose();
      if (length < 0) return;
      peer.send(output, 0, length);
    }
    if (peer.isBroken) this.onUpstreamFailed('broke off');
    else if (!this.isRequestEnded) this.client.lastMs = performance.now();
  }

  #dial(): void {
    const use = this.#use as Use;
    if (this.#dialedMs === 0) this.#dialedMs = performance.now();
    const socket = use.takeSocket();
    if (socket) return this.#connect(socket);
    this.loop.needTurn();
    use.awaitSocket().then(
      (awaited) => {
        if (this.isOver) closeFd(awaited.fd);
        else this.#connect(awaited);
      },
      (thrown) => this.#refuseThrown(thrown),
    );
  }

  #connect({ fd, target }: UpstreamSocket): void {
    const errno =
      target === null ? 0 : startConnecting(fd, encodeSocketAddress({ kind: 'inet', ...target }));
    if (errno !== 0) {
      closeFd(fd);
      return this.#refuseThrown(new Error(`connect: errno ${errno}`));
    }
    this.#attach(this.#pool().open(fd, target === null));
    if (target !== null) return;
    this.#sendHead();
    this.#upload?.move();
  }

  onConnectionRefused(): void {
    this.#closeUpstream();
    if (performance.now() - this.#dialedMs > REDIAL_FOR_MS) {
      return this.#refuseThrown(new Error('connection refused'));
    }
    setTimeout(() => {
      if (!this.isOver) this.#dialAgain();
    }, this.#redialMs);
    this.#redialMs *= 2;
    this.loop.needTurn();
  }

  #dialAgain(): void {
    try {
      this.#dial();
    } catch (thrown) {
      this.#refuseThrown(thrown);
    }
  }

  #closeUpstream(): void {
    const { upstream } = this;
    this.upstream = null;
    this.#isHeadOut = false;
    upstream?.pool.close(upstream);
  }

  /** Bytes of the body that came with the head; returns how far they were taken. */
  takeBody(bytes: Buffer, from: number, to: number): number {
    if (this.isRequestEnded) return from;
    this.#upload = new Upload(this, this.client);
    return this.isUploading ? this.#upload.take(bytes, from, to) : from;
  }

  onUpstreamEvents(): void {
    if (!this.#isHeadOut) this.#sendHead();
    if (this.#isAnswered && !this.isOver) return this.#lookAfterAnswer();
    this.#download.move();
    if (!this.isOver) this.#moveUpload();
  }

  onClientEvents(isWritable: boolean): void {
    if (isWritable) this.#download.move();
    if (!this.isOver) this.#moveUpload();
  }

  #moveUpload(): void {
    if (this.#upload) return this.#upload.move();
    const peer = this.upstream?.peer;
    if (peer?.pending && !peer.flush() && peer.isBroken) this.onUploadBroken();
  }

  /** The upstream takes no more of the request, but may have answered before. */
  onUploadBroken(): void {
    this.#isUploadBroken = true;
    if (this.#isAnswered) return this.#end(true);
    const { upstream } = this;
    if (!upstream) return;
    upstream.peer.isReadable = true;
    this.loop.soon(() => this.#download.move());
  }

  /** All of the request is sent. */
  onUploaded(): void {
    if (this.#isAnswered) this.#end(false);
  }

  onInformed(status: number): void {
    if (status !== 100) return;
    this.#isBodyAwaited = true;
    this.client.lastMs = performance.now();
  }

  /** Whether the answer is such that the rest of the request isn't wanted any more. */
  leavesBodyUnread({ keepAlive }: ResponseFacts): boolean {
    return !this.isRequestEnded && (!keepAlive || !this.#isBodyAwaited);
  }

  /** All of the answer is sent. */
  onAnswered(): void {
    this.#isAnswered = true;
    const isSent = this.isRequestEnded && !(this.#upload?.isBlocked ?? this.upstream?.peer.pending);
    if (isSent || this.client.isLast || this.#isUploadBroken) return this.#end(!isSent);
    this.#lookAfterAnswer();
    if (!this.isOver) this.#moveUpload();
  }

  /** The answer is out before the request is: whoever takes the rest must still be there. */
  #lookAfterAnswer(): void {
    const peer = this.upstream?.peer;
    if (!peer || (peer.isReadable && !peer.isSilent)) this.#end(true);
    else this.#moveUpload();
  }

  #end(closes: boolean): void {
    if (this.isOver) return;
    const { facts, isSpoilt } = this.#download;
    const isReusable = !closes && !isSpoilt && facts?.keepAlive === true;
    this.#release(isReusable, facts?.timeoutMs ?? null);
    this.#logAccess();
    this.client.requestDone(closes);
  }

  onUpstreamFailed(reason: string): void {
    if (this.isOver) return;
    if (this.#isAnswered) return this.#end(true);
    if (this.#mayRetry()) return this.#retry();
    this.refuse(new Refusal('upstream-failed', null, reason));
  }

  onInstanceGone(): void {
    if (!this.isOver) this.refuse(new Refusal('upstream-failed', null, 'the instance is gone'));
  }

  /** A pooled connection may have been closed by the server just before. */
  #mayRetry(): boolean {
    const { upstream } = this;
    return (
      upstream?.isReused === true &&
      !upstream.pool.isClosed &&
      !this.#isRetried &&
      !this.#download.hasBegun &&
      this.#outgoing !== null &&
      this.head.framing.kind === 'none' &&
      IDEMPOTENT.has(this.head.method)
    );
  }

  #retry(): void {
    this.#isRetried = true;
    this.upstream?.pool.closeIdle();
    this.#closeUpstream();
    this.#dialAgain();
  }

  onClientLeft(): void {
    if (this.isOver) return;
    this.#release(false, null);
    this.#logAccess();
    if (this.#abort) {
      this.loop.needTurn();
      this.#abort.abort();
    }
  }

  #refuseThrown(thrown: unknown): void {
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
    if (!this.#download.isHeadSent) return this.#answer(answer);
    this.#release(false, null);
    client.breakOff(this.#download.isDelimitedByClose && !this.#isAnswered);
  }

  #answer(answer: OwnAnswer): void {
    const { client, isForHead } = this;
    const closes = client.isLast || !this.isRequestEnded;
    this.#release(false, null);
    client.answer(answer, { closes, isForHead, minorVersion: this.head.minorVersion });
    client.requestDone(closes);
  }

  /** The service has taken the client's offer: HTTP is over on both connections. */
  onUpgraded(answer: Buffer): void {
    const { client, upstream, head } = this;
    if (!offersUpgrade(head) || !this.isRequestEnded || !upstream) {
      return this.onUpstreamFailed('changed the protocol unasked');
    }
    this.isOver = true;
    this.#download.release();
    this.#upload?.release();
    upstream.pool.letGo(upstream);
    const early = client.rest;
    const { context } = client.front;
    const match = this.#match as RouteMatch;
    const use = this.#use as Use;
    new UpgradedConnection(context, {
      match,
      use,
      clientFd: client.handOver(),
      upstreamFd: upstream.peer.fd,
      answer,
      early,
      onClosed: (bytesIn, bytesOut) => this.#logEntry(101, this.bytesIn + bytesIn, bytesOut),
    });
  }

  /** Everything but the client, which goes on. */
  #release(isReusable: boolean, timeoutMs: number | null): void {
    const { upstream } = this;
    this.isOver = true;
    this.#outgoing = null;
    this.#download.release();
    this.#upload?.release();
    if (upstream) {
      this.upstream = null;
      if (isReusable) upstream.pool.give(upstream, performance.now(), timeoutMs);
      else upstream.pool.close(upstream);
    }
    this.#use?.end();
  }

  #logAccess(): void {
    const { facts, isHeadSent, bytesOut } = this.#download;
    const status = isHeadSent ? (facts?.status ?? STATUS_CLIENT_LEFT) : STATUS_CLIENT_LEFT;
    this.#logEntry(status, this.bytesIn, bytesOut);
  }

  #logEntry(status: number, bytesIn: number, bytesOut: number): void {
    const { client, head } = this;
    const match = this.#match;
    if (!match) return;
    client.front.context.host.logAccess({
      listener: client.listener.name,
      service: match.service,
      source: client.accepted.source,
      destination: client.accepted.destinationText,
      name: head.host,
      method: head.method,
      target: head.target,
      status,
      bytesIn,
      bytesOut,
      durationMs: performance.now() - this.beganMs,
      heldMs: this.#heldMs,
    });
  }

  /** Looks whether the body still comes. */
  sweep(nowMs: number): void {
    if (this.isRequestEnded || !this.#isBodyAwaited || !this.isUploading) return;
    if (this.#upload?.isBlocked) this.client.lastMs = nowMs;
    else if (nowMs - this.client.lastMs > this.client.front.limits.bodyMs) {
      this.refuseFraming({ status: 408, reason: 'not sent in time' });
    }
  }
}

/** The address of `ip:port` or `[ip6]:port`; null for Unix clients. */
function ipOf(source: string): string | null {
  if (source.startsWith('unix:')) return null;
  if (source.startsWith('[')) return source.slice(1, source.indexOf(']'));
  return source.slice(0, source.lastIndexOf(':'));
}
