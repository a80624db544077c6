import { CR, LF } from './byte-classes.js';
import { ByteStore } from './byte-store.js';
import { type ChunkedLimits, ChunkedScanner } from './chunked.js';
import type { HttpRefusal } from './field-section.js';
import { type HeadLimits, HeadScanner } from './head-scanner.js';
import { interpretHead } from './interpret-head.js';
import { RequestHead } from './request-head.js';

export interface FramingLimits extends HeadLimits, ChunkedLimits {
  /** What a client may send behind an upgrade request before it is known what becomes of it. */
  readonly heldBytes: number;
}

export const DEFAULT_FRAMING_LIMITS: FramingLimits = {
  headBytes: 32 * 1024,
  targetBytes: 16 * 1024,
  headers: 100,
  chunkExtensionBytes: 256,
  extensionBytes: 8 * 1024,
  trailerBytes: 8 * 1024,
  trailers: 32,
  heldBytes: 256 * 1024,
};

export type FramingEvent =
  | { readonly kind: 'head'; readonly head: RequestHead }
  /** Bytes of the body as received, with all that frames it. */
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'end' }
  /** Bytes after an upgrade. */
  | { readonly kind: 'raw'; readonly bytes: Buffer }
  | ({ readonly kind: 'refusal' } & HttpRefusal);

/**
 * What a `read` found. `held`: an upgrade request ended, and nothing more is read before `becomeRaw`
 * or `continueHttp`. `closed`: the last request that the client may send here has ended; what
 * follows is to be dropped.
 */
export type FramingStep =
  | 'need-more'
  | 'head'
  | 'body'
  | 'end'
  | 'raw'
  | 'held'
  | 'closed'
  | 'refusal';

type State =
  | 'start'
  | 'empty-line-lf'
  | 'head'
  | 'length'
  | 'chunked'
  | 'end'
  | 'held'
  | 'raw'
  | 'closed'
  | 'refused';

/**
 * Tells exactly where each request of a client begins and ends, for any number of requests split at
 * any bytes, and refuses whatever two parsers could read differently. Where it refuses depends on
 * the bytes only, never on how they were split. Each byte is looked at once; only a head that comes
 * in pieces is copied.
 */
export class RequestFraming {
  /** Where the last `read` stopped: what it found lies between its `from` and here. */
  position = 0;
  /** Of the request at hand: every request's is read into the same one. */
  readonly head = new RequestHead();
  refusal: HttpRefusal | null = null;
  #state: State = 'start';
  #bodyLeftBytes = 0;
  #isRefusalReported = false;
  readonly #limits: FramingLimits;
  readonly #scanner: HeadScanner;
  readonly #chunked: ChunkedScanner;
  readonly #partialHead = new ByteStore();
  readonly #held = new ByteStore();

  constructor(limits: Partial<FramingLimits> = {}) {
    this.#limits = { ...DEFAULT_FRAMING_LIMITS, ...limits };
    this.#scanner = new HeadScanner(this.#limits);
    this.#chunked = new ChunkedScanner(this.#limits);
  }

  /** Begins anew, with another client. */
  reset(): void {
    this.#state = 'start';
    this.refusal = null;
    this.#isRefusalReported = false;
    this.#partialHead.clear();
    this.#held.clear();
  }

  /** An upgrade request has ended and waits for `becomeRaw` or `continueHttp`. */
  get isHeld(): boolean {
    return this.#state === 'held';
  }

  /** No byte of a request has come that hasn't ended: the connection is idle. */
  get isBetweenRequests(): boolean {
    return this.#state === 'start';
  }

  /** What is still to come of a body whose length is known; 0 for other bodies. */
  get bodyLeftBytes(): number {
    return this.#state === 'length' ? this.#bodyLeftBytes : 0;
  }

  /** That many of `bodyLeftBytes` went another way (splice(2)). */
  skipBody(bytes: number): void {
    this.#bodyLeftBytes -= bytes;
    if (this.#bodyLeftBytes === 0) this.#state = 'end';
  }

  /** Takes the client's next bytes; the events refer to them, without copies. */
  push(chunk: Buffer): FramingEvent[] {
    const events: FramingEvent[] = [];
    for (let from = 0; ; from = this.position) {
      const step = this.read(chunk, from, chunk.length);
      if (step === 'held') this.#hold(chunk.subarray(from), events);
      if (step === 'need-more' || step === 'held' || step === 'closed') return events;
      if (step === 'head') events.push({ kind: 'head', head: this.head.copy() });
      else if (step === 'end') events.push({ kind: 'end' });
      else if (step === 'refusal') return this.#reportRefusal(events);
      else events.push({ kind: step, bytes: chunk.subarray(from, this.position) });
    }
  }

  /** The upgrade was accepted: all that follows is `raw`. Returns the events of what was held. */
  becomeRaw(): FramingEvent[] {
    return this.#leaveHold('raw');
  }

  /** The upgrade was declined: HTTP goes on. Returns the events of what was held. */
  continueHttp(): FramingEvent[] {
    return this.#leaveHold(this.head.keepAlive ? 'start' : 'closed');
  }

  /**
   * The same without allocations, for callers with their own buffer: finds the next thing in
   * `bytes` from `from` to `to`, and leaves `position` behind it. Call it again from there until it
   * says `need-more`, `held`, `closed` or `refusal`; at `to` too, since an `end` has no bytes. The
   * head's texts are to be had until the caller reuses the buffer.
   */
  read(bytes: Buffer, from: number, to: number): FramingStep {
    this.position = from;
    switch (this.#state) {
      case 'start':
      case 'empty-line-lf':
        return this.#start(bytes, from, to);
      case 'head':
        return this.#continueHead(bytes, from, to);
      case 'length':
        return this.#readLength(from, to);
      case 'chunked':
        return this.#readChunked(bytes, from, to);
      case 'end':
        return this.#end();
      case 'raw':
        this.position = to;
        return from < to ? 'raw' : 'need-more';
      case 'refused':
        return 'refusal';
      default:
        return this.#state;
    }
  }

  /** One empty line before a request is ignored (RFC 9112 2.2). */
  #start(bytes: Buffer, from: number, to: number): FramingStep {
    if (from === to) return 'need-more';
    if (this.#state === 'start' && bytes[from] === CR) {
      this.#state = 'empty-line-lf';
      return this.read(bytes, from + 1, to);
    }
    let at = from;
    if (this.#state === 'empty-line-lf') {
      if (bytes[at] !== LF) return this.#refuse({ status: 400, reason: 'bare CR' });
      at += 1;
    }
    this.#state = 'head';
    this.#scanner.reset();
    return this.read(bytes, at, to);
  }

  #continueHead(bytes: Buffer, from: number, to: number): FramingStep {
    const heldBytes = this.#partialHead.length;
    if (heldBytes === 0) {
      this.position = this.#scanner.scan(bytes, from, to, from);
      if (this.#scanner.refusal !== null) return this.#refuse(this.#scanner.refusal);
      if (this.#scanner.done) return this.#interpret(bytes, from, this.position);
      this.#partialHead.append(bytes, from, to);
      return 'need-more';
    }
    const end = Math.min(to, from + this.#limits.headBytes - heldBytes);
    this.#partialHead.append(bytes, from, end);
    const head = this.#partialHead.bytes;
    const scannedTo = this.#scanner.scan(head, heldBytes, head.length, 0);
    this.position = from + scannedTo - heldBytes;
    if (this.#scanner.refusal !== null) return this.#refuse(this.#scanner.refusal);
    if (!this.#scanner.done) return 'need-more';
    this.#partialHead.clear();
    return this.#interpret(head, 0, scannedTo);
  }

  #interpret(bytes: Buffer, base: number, end: number): FramingStep {
    const refusal = interpretHead(this.head, bytes, base, end, this.#scanner);
    if (refusal !== null) return this.#refuse(refusal);
    const { framing } = this.head;
    if (framing.kind === 'length') this.#bodyLeftBytes = framing.bytes;
    if (framing.kind === 'chunked') this.#chunked.reset();
    this.#state = framing.kind === 'none' ? 'end' : framing.kind;
    return 'head';
  }

  #readLength(from: number, to: number): FramingStep {
    if (from === to) return 'need-more';
    this.position = Math.min(to, from + this.#bodyLeftBytes);
    this.#bodyLeftBytes -= this.position - from;
    if (this.#bodyLeftBytes === 0) this.#state = 'end';
    return 'body';
  }

  /** What came before a refusal is handed out first, so that the split of the bytes changes nothing. */
  #readChunked(bytes: Buffer, from: number, to: number): FramingStep {
    const { refusal } = this.#chunked;
    if (refusal !== null) return this.#refuse(refusal);
    if (from === to) return 'need-more';
    this.position = this.#chunked.scan(bytes, from, to);
    if (this.#chunked.done) this.#state = 'end';
    return this.position > from ? 'body' : this.read(bytes, from, to);
  }

  #end(): FramingStep {
    if (this.head.upgrade) this.#state = 'held';
    else this.#state = this.head.keepAlive ? 'start' : 'closed';
    return 'end';
  }

  #refuse(refusal: HttpRefusal): FramingStep {
    this.#state = 'refused';
    this.refusal = refusal;
    this.#partialHead.clear();
    return 'refusal';
  }

  #reportRefusal(events: FramingEvent[]): FramingEvent[] {
    if (this.refusal === null || this.#isRefusalReported) return events;
    this.#isRefusalReported = true;
    events.push({ kind: 'refusal', ...this.refusal });
    return events;
  }

  #hold(bytes: Buffer, events: FramingEvent[]): void {
    if (this.#held.length + bytes.length <= this.#limits.heldBytes) {
      this.#held.append(bytes, 0, bytes.length);
      return;
    }
    this.#held.clear();
    this.#refuse({ status: 400, reason: 'too much sent before the upgrade was answered' });
    this.#reportRefusal(events);
  }

  #leaveHold(state: 'raw' | 'start' | 'closed'): FramingEvent[] {
    if (this.#state !== 'held') throw new Error('no upgrade request is waiting');
    this.#state = state;
    const held = this.#held.bytes;
    this.#held.clear();
    return this.push(held);
  }
}
