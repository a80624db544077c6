import { ByteStore } from '../../byte-store.js';
import { ChunkedScanner } from '../../chunked.js';
import { kindOfResponseTrailer } from '../../field-names.js';
import { Dechunker, writeChunk, writeLastChunk } from './body-coding.js';
import { FreeList } from './free-list.js';
import { INPUT_AT, bytes as memoryBytes, move, OUTPUT_AT, stage } from './memory.js';
import { AT_END, BROKEN, NOTHING_NOW, type Peer } from './peer.js';
import type { RelayedRequest } from './relayed-request.js';
import { interpretResponse, type ResponseFacts } from './response-head.js';
import { copyResponseHead, writeResponseHead } from './response-head-writer.js';
import { ResponseScanner } from './response-scanner.js';
import { SPLICE_FROM_BYTES, SpliceRelay } from './splice-relay.js';

/** What one response may move before others have their turn. */
const TURN_BYTES = 1024 * 1024;
const SWITCHING_PROTOCOLS = 101;

const CHUNKED_LIMITS = {
  chunkExtensionBytes: 256,
  extensionBytes: 64 * 1024,
  trailerBytes: 16 * 1024,
  trailers: 64,
};

const scanners = new FreeList(() => new ResponseScanner(), 64);
const chunkedScanners = new FreeList(
  () => new ChunkedScanner(CHUNKED_LIMITS, kindOfResponseTrailer),
  64,
);

/** How the body goes to the client: as it came, put into chunks, or taken out of them. */
type Coding = 'same' | 'chunk' | 'dechunk';

/** Reads a response as strictly as requests are read, and sends it on as it comes. */
export class Download {
  facts: ResponseFacts | null = null;
  /** A byte of the response has come. */
  hasBegun = false;
  isHeadSent = false;
  isComplete = false;
  /** Something followed the response that nobody asked for. */
  isSpoilt = false;
  bytesOut = 0;
  /** The answer's end is where the connection closes. */
  isDelimitedByClose = false;
  #coding: Coding = 'same';
  #leftBytes = 0;
  /** Where the head ends that is composed and not yet sent. */
  #composedTo = OUTPUT_AT;
  #scanner: ResponseScanner | null = null;
  /** A head that came in part. */
  #partialHead: ByteStore | null = null;
  #chunked: ChunkedScanner | null = null;
  #dechunker: Dechunker | null = null;
  #splice: SpliceRelay | null = null;

  constructor(private readonly request: RelayedRequest) {}

  /** Moves what there is, up to a bound. */
  move(): void {
    const { request } = this;
    const { client } = request;
    const to = client.peer;
    for (let moved = 0; request.isDownloading; ) {
      if (!to.flush() || !(this.#splice?.empty(to) ?? true)) {
        if (to.isBroken) client.leave();
        return;
      }
      if (this.isComplete) return request.onAnswered();
      const from = request.upstream?.peer as Peer;
      if (!from.isReadable) return;
      if (moved >= TURN_BYTES) return client.front.context.loop.soon(() => this.move());
      const count = this.#step(from);
      if (count < 0) return;
      moved += count;
    }
  }

  /** How many bytes came; negative: there are none now, or it is all over. */
  #step(from: Peer): number {
    const received =
      this.#mayExpectMuch() && this.#canSplice() ? this.#spliceIn(from) : from.receive();
    if (received === NOTHING_NOW) return received;
    if (received === BROKEN) return this.#fail('broke off');
    if (received === AT_END) return this.#end();
    this.hasBegun = true;
    if (this.#splice?.isEmpty ?? true) this.#take(INPUT_AT, INPUT_AT + received);
    return received;
  }

  #mayExpectMuch(): boolean {
    return this.isHeadSent && this.facts?.body === 'length' && this.#leftBytes >= SPLICE_FROM_BYTES;
  }

  #canSplice(): boolean {
    this.#splice ??= new SpliceRelay(this.request.client.front.context.pipes);
    return this.#splice.begin();
  }

  #spliceIn(from: Peer): number {
    const moved = this.#splice?.fill(from, this.#leftBytes) ?? 0;
    if (moved <= 0) return moved;
    this.bytesOut += moved;
    this.#leftBytes -= moved;
    this.isComplete = this.#leftBytes === 0;
    return moved;
  }

  #end(): number {
    const isWhole = this.isHeadSent && this.facts?.body === 'close';
    if (!isWhole) return this.#fail(this.hasBegun ? 'broke off' : 'closed without an answer');
    if (this.#coding === 'chunk') this.#sendOutput(writeLastChunk(OUTPUT_AT));
    this.isComplete = true;
    return 0;
  }

  #fail(reason: string): number {
    this.request.onUpstreamFailed(reason);
    return -1;
  }

  /** Bytes of the memory. */
  #take(from: number, to: number): void {
    let at = from;
    while (this.facts === null) {
      at = this.#readHead(at, to);
      if (at < 0) return;
    }
    this.#takeBody(at, to);
  }

  /** Returns where the head ends; negative: it hasn't ended, or it was the last of this exchange. */
  #readHead(from: number, to: number): number {
    this.#scanner ??= scanners.take();
    const scanner = this.#scanner;
    const store = this.#partialHead;
    if (store === null) {
      scanner.reset();
      const end = scanner.scan(memoryBytes, from, to, from);
      return this.#judgeHead(memoryBytes, from, end, to - end, to);
    }
    const before = store.length;
    store.append(memoryBytes, from, to);
    const { bytes } = store;
    const end = scanner.scan(bytes, before, bytes.length, 0);
    if (scanner.done) this.#partialHead = null;
    return this.#judgeHead(bytes, 0, end, bytes.length - end, to);
  }

  /** The head lies in `bytes` from `from` to `end`; `followingBytes` are behind it, up to `to` of the input. */
  #judgeHead(bytes: Buffer, from: number, end: number, followingBytes: number, to: number): number {
    const scanner = this.#scanner as ResponseScanner;
    if (scanner.fault !== null) return this.#fail(scanner.fault);
    if (!scanner.done) {
      if (this.#partialHead === null && from < end) {
        this.#partialHead = new ByteStore();
        this.#partialHead.append(bytes, from, end);
      }
      return -1;
    }
    const { method } = this.request.exchange.head;
    const facts = interpretResponse(bytes, from, scanner, method === 'HEAD');
    if (typeof facts === 'string') return this.#fail(facts);
    const base = stage(bytes, from, end);
    const baseEnd = base + end - from;
    if (facts.status === SWITCHING_PROTOCOLS) {
      const behind = memoryBytes.subarray(to - followingBytes, to);
      return this.#upgrade(copyResponseHead(base, baseEnd), behind);
    }
    if (facts.status < 200) this.#inform(base, baseEnd, facts.status);
    else this.#begin(base, baseEnd, facts);
    return to - followingBytes;
  }

  #upgrade(head: Buffer, behind: Buffer): number {
    this.request.onUpgraded(Buffer.concat([head, behind]));
    return -1;
  }

  /** Sends a 1xx response on (RFC 9110 15.2); HTTP/1.0 has none. */
  #inform(base: number, end: number, status: number): void {
    this.request.onInformed(status);
    if (this.request.exchange.head.minorVersion === 0) return;
    const scanner = this.#scanner as ResponseScanner;
    this.#sendOutput(writeResponseHead(base, end, scanner, false, null));
  }

  #begin(base: number, end: number, facts: ResponseFacts): void {
    const { exchange, client } = this.request;
    const isOld = exchange.head.minorVersion === 0;
    this.facts = facts;
    this.#leftBytes = facts.bytes;
    if (facts.body === 'chunked') this.#chunked = chunkedScanners.take();
    this.#chunked?.reset();
    if (facts.body === 'chunked' && isOld) this.#coding = 'dechunk';
    if (facts.body === 'close' && !isOld) this.#coding = 'chunk';
    const hasOpenEnd = facts.body === 'chunked' || facts.body === 'close';
    this.isDelimitedByClose = hasOpenEnd && isOld;
    client.isLast ||= this.isDelimitedByClose || this.request.leavesBodyUnread(facts);
    const connection = client.isLast ? 'close' : isOld ? 'keep-alive' : null;
    const scanner = this.#scanner as ResponseScanner;
    this.#composedTo = writeResponseHead(base, end, scanner, hasOpenEnd && !isOld, connection);
    scanners.give(scanner);
    this.#scanner = null;
  }

  #takeBody(from: number, to: number): void {
    const end = this.#scanBody(from, to);
    if (end < 0) return;
    if (this.isComplete && end < to) this.isSpoilt = true;
    const composedTo = this.#composedTo;
    this.#composedTo = OUTPUT_AT;
    this.isHeadSent = true;
    if (this.#coding === 'same') return this.#sendSame(composedTo, from, end);
    let outputTo =
      this.#coding === 'chunk'
        ? writeChunk(from, end, composedTo)
        : this.#dechunk(from, end, composedTo);
    if (this.isComplete && this.#coding === 'chunk') outputTo = writeLastChunk(outputTo);
    this.#sendOutput(outputTo);
  }

  #dechunk(from: number, to: number, at: number): number {
    this.#dechunker ??= new Dechunker();
    return this.#dechunker.decode(from, to, at);
  }

  /** Where what belongs to the body ends; negative: it was all over. */
  #scanBody(from: number, to: number): number {
    switch (this.facts?.body) {
      case 'none':
        this.isComplete = true;
        return from;
      case 'length': {
        const end = Math.min(to, from + this.#leftBytes);
        this.#leftBytes -= end - from;
        this.isComplete = this.#leftBytes === 0;
        return end;
      }
      case 'chunked':
        return this.#scanChunked(this.#chunked as ChunkedScanner, from, to);
      default:
        return to;
    }
  }

  #scanChunked(chunked: ChunkedScanner, from: number, to: number): number {
    const end = chunked.scan(memoryBytes, from, to);
    if (chunked.refusal !== null) return this.#fail(chunked.refusal.reason);
    this.isComplete = chunked.done;
    return end;
  }

  #sendSame(composedTo: number, from: number, to: number): void {
    if (composedTo === OUTPUT_AT) {
      this.bytesOut += to - from;
      this.request.client.peer.send(from, to);
      return;
    }
    this.#sendOutput(move(from, to, composedTo));
  }

  #sendOutput(to: number): void {
    this.bytesOut += to - OUTPUT_AT;
    this.request.client.peer.send(OUTPUT_AT, to);
  }

  /** It is over, whole or not. */
  release(): void {
    this.#splice?.release();
    if (this.#scanner) scanners.give(this.#scanner);
    if (this.#chunked) chunkedScanners.give(this.#chunked);
    this.#scanner = null;
    this.#chunked = null;
  }
}
