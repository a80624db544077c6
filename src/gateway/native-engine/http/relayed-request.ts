import { Refusal } from '../../../ipc/refusals.js';
import type { Use } from '../../engine.js';
import { offersUpgrade } from '../../upstream-headers.js';
import { Dialer, type DialerOwner } from '../dialer.js';
import type { ClientConnection } from './client-connection.js';
import { Download } from './download.js';
import type { Exchange } from './exchange.js';
import { bytes as memoryBytes } from './memory.js';
import type { OutgoingHead } from './outgoing-head.js';
import type { Peer } from './peer.js';
import type { ResponseFacts } from './response-head.js';
import type { ServicePath } from './service-path.js';
import { UpgradedConnection } from './upgraded-connection.js';
import { Upload } from './upload.js';
import type { UpstreamConnection } from './upstream-connection.js';
import type { UpstreamPool } from './upstream-pool.js';

/** Doing it twice is as good as once (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'DELETE', 'PUT']);

/** A request on its way to an upstream, its answer on the way back, and its use of the instance. */
export class RelayedRequest implements DialerOwner {
  upstream: UpstreamConnection | null = null;
  readonly client: ClientConnection;
  readonly download: Download;
  readonly #upload: Upload | null;
  #use: Use | null;
  #dialer: Dialer | null = null;
  /** The head, while it may have to be sent, or sent again. */
  #outgoing: OutgoingHead | null = null;
  /** It is composed, and goes out together with what came of the body. */
  #awaitsBody = false;
  #isHeadOut = false;
  #isUploadBroken = false;
  #isAnswered = false;
  #isRetried = false;
  #isReleased = false;
  /** The client was told to send the body, or doesn't wait for that. */
  #isBodyAwaited: boolean;

  constructor(
    readonly exchange: Exchange,
    private readonly path: ServicePath,
    private readonly instance: number,
    /** Null: the request is counted, as long as nothing else is needed. */
    use: Use | null,
  ) {
    const { client, head, isRequestEnded } = exchange;
    this.client = client;
    this.#use = use;
    this.#isBodyAwaited = !head.expectContinue;
    this.download = new Download(this);
    this.#upload = isRequestEnded ? null : new Upload(this);
  }

  /** Where the answer ends the client only learns from the end of its connection. */
  get isDelimitedByClose(): boolean {
    return this.download.isDelimitedByClose && !this.#isAnswered;
  }

  /** Null as long as the client has been sent none. */
  get status(): number | null {
    return this.download.isHeadSent ? (this.download.facts?.status ?? null) : null;
  }

  get isDownloading(): boolean {
    return !this.#isReleased && !this.#isAnswered && this.upstream !== null;
  }

  get isUploading(): boolean {
    return !this.#isReleased && !this.#isUploadBroken && this.#isHeadOut && this.upstream !== null;
  }

  /** Sends it on a pooled connection, else on one that is dialled. `outgoing`: its head, composed before. */
  start(outgoing: OutgoingHead | null): void {
    const isRepeatable = this.#isRepeatable;
    const pooled = this.#pool().take(this.client.front.context.loop.nowMs, !isRepeatable);
    this.#outgoing = outgoing ?? this.exchange.compose(isRepeatable || pooled === null);
    if (this.#outgoing === null) {
      pooled?.pool.close(pooled);
    } else if (pooled === null) {
      this.#outgoing.keep();
      this.#dial();
    } else {
      this.#attach(pooled);
      this.#sendFirst(outgoing === null, isRepeatable);
    }
  }

  #sendFirst(isFresh: boolean, isRepeatable: boolean): void {
    if (isFresh && this.#upload) {
      this.#isHeadOut = true;
      this.#awaitsBody = true;
      return;
    }
    this.#sendHead();
    if (isRepeatable) this.#outgoing?.keep();
  }

  get #isRepeatable(): boolean {
    const { framing, method } = this.exchange.head;
    return framing.kind === 'none' && IDEMPOTENT.has(method);
  }

  #pool(): UpstreamPool {
    return this.path.poolOf(this.instance);
  }

  #attach(upstream: UpstreamConnection): void {
    this.upstream = upstream;
    upstream.request = this;
  }

  #sendHead(): void {
    const upstream = this.upstream as UpstreamConnection;
    this.#isHeadOut = true;
    this.#awaitsBody = false;
    this.#outgoing?.sendTo(upstream.peer);
    this.#noteHeadOut(upstream);
  }

  #noteHeadOut({ peer }: UpstreamConnection): void {
    if (peer.isBroken) this.onUpstreamFailed('broke off');
    else if (this.#upload) this.client.lastMs = this.client.front.context.loop.nowMs;
  }

  onSocket(fd: number, isConnected: boolean): void {
    this.#attach(this.#pool().open(fd, isConnected));
    if (!isConnected) return;
    this.#sendHead();
    this.moveUpload();
  }

  onDialFailed(thrown: unknown): void {
    this.exchange.refuseThrown(thrown);
  }

  onConnectionRefused(): void {
    this.#closeUpstream();
    this.#dialer?.redial();
  }

  #dial(): void {
    this.#dialer ??= new Dialer(this.#takeUse(), this.client.front.context.loop, this);
    this.#dialer.dial();
  }

  #takeUse(): Use {
    const { uses, match } = this.path;
    this.#use ??= uses.toUse(this.exchange.describeDemand(match));
    return this.#use;
  }

  #closeUpstream(): void {
    const { upstream } = this;
    this.upstream = null;
    this.#isHeadOut = false;
    upstream?.pool.close(upstream);
  }

  /** Bytes of the body that came with the head; returns how far they were taken. */
  takeBody(bytes: Buffer, from: number, to: number): number {
    const at = this.#upload && this.isUploading ? this.#upload.take(bytes, from, to) : from;
    if (this.#awaitsBody && this.isUploading) this.#sendHead();
    return at;
  }

  /** Sends bytes of the body. */
  sendBody(bytes: Buffer, from: number, to: number): void {
    if (this.#awaitsBody) {
      if (bytes === memoryBytes && this.#outgoing?.append(from, to)) return;
      this.#sendHead();
    }
    const peer = this.upstream?.peer;
    if (bytes === memoryBytes) peer?.send(from, to);
    else peer?.sendBytes(bytes.subarray(from, to));
  }

  onUpstreamEvents(): void {
    if (!this.#isHeadOut) this.#sendHead();
    if (this.#isAnswered && !this.#isReleased) return this.#lookAfterAnswer();
    this.download.move();
    this.moveUpload();
  }

  onClientEvents(isWritable: boolean): void {
    if (isWritable) this.download.move();
    this.moveUpload();
  }

  moveUpload(): void {
    if (!this.isUploading) return;
    const peer = this.upstream?.peer;
    if (this.#upload) this.#upload.move();
    else if (peer?.pending) this.#flushHead(peer);
  }

  /** A request without a body whose head is still on its way. */
  #flushHead(peer: Peer): void {
    if (peer.flush()) {
      if (this.#isAnswered) this.#end(false);
    } else if (peer.isBroken) this.onUploadBroken();
  }

  /** The upstream takes no more of the request, but may have answered before. */
  onUploadBroken(): void {
    this.#isUploadBroken = true;
    if (this.#isAnswered) return this.#end(true);
    const { upstream, client } = this;
    if (!upstream) return;
    upstream.peer.isReadable = true;
    client.front.context.loop.soon(() => this.download.move());
  }

  /** All of the request is sent. */
  onUploaded(): void {
    if (this.#isAnswered) this.#end(false);
  }

  onInformed(status: number): void {
    if (status !== 100) return;
    this.#isBodyAwaited = true;
    this.client.lastMs = this.client.front.context.loop.nowMs;
  }

  /** Whether the answer is such that the rest of the request isn't wanted any more. */
  leavesBodyUnread({ keepAlive }: ResponseFacts): boolean {
    return !this.exchange.isRequestEnded && (!keepAlive || !this.#isBodyAwaited);
  }

  /** All of the answer is sent. */
  onAnswered(): void {
    this.#isAnswered = true;
    const isBlocked = this.#upload?.isBlocked ?? this.upstream?.peer.pending != null;
    const isSent = this.exchange.isRequestEnded && !isBlocked;
    if (isSent || this.client.isLast || this.#isUploadBroken) return this.#end(!isSent);
    this.#lookAfterAnswer();
  }

  /** The answer is out before the request is: whoever takes the rest must still be there. */
  #lookAfterAnswer(): void {
    const peer = this.upstream?.peer;
    if (!peer || (peer.isReadable && !peer.isSilent)) this.#end(true);
    else this.moveUpload();
  }

  #end(closes: boolean): void {
    if (this.#isReleased) return;
    this.release(!closes && !this.#isUploadBroken);
    this.exchange.onAnswered(closes);
  }

  onUpstreamFailed(reason: string): void {
    if (this.#isReleased) return;
    if (this.#isAnswered) return this.#end(true);
    if (this.#mayRetry()) return this.#retry();
    this.exchange.refuse(new Refusal('upstream-failed', null, reason));
  }

  onInstanceGone(): void {
    if (this.#isReleased) return;
    this.exchange.refuse(new Refusal('upstream-failed', null, 'the instance is gone'));
  }

  /** A pooled connection may have been closed by the server just before. */
  #mayRetry(): boolean {
    const { upstream } = this;
    return (
      upstream?.isReused === true &&
      !upstream.pool.isClosed &&
      !this.#isRetried &&
      !this.download.hasBegun &&
      this.#outgoing !== null &&
      this.#isRepeatable
    );
  }

  #retry(): void {
    this.#isRetried = true;
    this.upstream?.pool.closeIdle();
    this.#closeUpstream();
    this.#dial();
  }

  /** The service has taken the client's offer: HTTP is over on both connections. */
  onUpgraded(answer: Buffer): void {
    const { client, upstream, exchange } = this;
    const { match } = this.path;
    if (!offersUpgrade(exchange.head) || !exchange.isRequestEnded || !upstream) {
      return this.onUpstreamFailed('changed the protocol unasked');
    }
    this.#isReleased = true;
    exchange.isOver = true;
    this.#outgoing?.release();
    this.download.release();
    this.#upload?.release();
    upstream.pool.letGo(upstream);
    new UpgradedConnection(client.front.context, {
      match,
      use: this.#takeUse(),
      upstreamFd: upstream.peer.fd,
      answer: joined(client.peer.pending, answer) as Buffer,
      early: joined(upstream.peer.pending, client.rest),
      clientFd: client.handOver(),
      onClosed: (bytesIn, bytesOut) =>
        exchange.logAccess(101, exchange.bytesIn + bytesIn, bytesOut),
    });
  }

  /** Ends the use; the upstream's connection is pooled where that's possible and `isReusable`. */
  release(isReusable: boolean): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#dialer?.stop();
    this.#outgoing?.release();
    this.#outgoing = null;
    this.download.release();
    this.#upload?.release();
    const { upstream, client } = this;
    const { nowMs } = client.front.context.loop;
    const { facts, isSpoilt } = this.download;
    this.upstream = null;
    if (upstream && isReusable && !isSpoilt && facts?.keepAlive) {
      upstream.pool.give(upstream, nowMs, facts.timeoutMs);
    } else upstream?.pool.close(upstream);
    if (this.#use) this.#use.end();
    else this.path.uses.end(this.instance, client.origin.sourceIp, nowMs);
  }

  /** Looks whether the body still comes. */
  sweep(nowMs: number): void {
    if (this.exchange.isRequestEnded || !this.#isBodyAwaited || !this.isUploading) return;
    if (this.#upload?.isBlocked) this.client.lastMs = nowMs;
    else if (nowMs - this.client.lastMs > this.client.front.limits.bodyMs) {
      this.exchange.refuseFraming({ status: 408, reason: 'not sent in time' });
    }
  }
}

function joined(first: Buffer | null, second: Buffer | null): Buffer | null {
  return first && second ? Buffer.concat([first, second]) : (first ?? second);
}
