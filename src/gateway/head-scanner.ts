import { CR, LF, SPACE, skipClass, TARGET, TOKEN } from './byte-classes.js';
import { kindOfHeader } from './field-names.js';
import { FieldSection, type HttpRefusal } from './field-section.js';

export interface HeadLimits {
  /** From the first byte of the method to the empty line. */
  readonly headBytes: number;
  readonly targetBytes: number;
  readonly headers: number;
}

const MAX_METHOD_BYTES = 32;
const VERSION = 'HTTP/?.?';
const MAJOR_AT = VERSION.indexOf('?');
const MINOR_AT = VERSION.lastIndexOf('?');

const METHOD = 0;
const IN_TARGET = 1;
const IN_VERSION = 2;
const LINE_LF = 3;
const FIELDS = 4;

/**
 * Scans the head of a request (RFC 9112 2 to 5) byte by byte, keeps offsets and copies nothing.
 * What the head means is `interpretHead`'s part. It is used again after `reset`.
 */
export class HeadScanner {
  /** The offsets count from `base`; the method starts there, the target one byte after its end. */
  methodEnd = 0;
  targetEnd = 0;
  done = false;
  refusal: HttpRefusal | null = null;
  /** The headers; complete once `done`, and valid until `reset`. */
  readonly fields: FieldSection;
  readonly #limits: HeadLimits;
  #state = METHOD;
  #major = 0;
  #minor = 0;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    this.fields = new FieldSection(limits.headers, kindOfHeader);
  }

  get targetStart(): number {
    return this.methodEnd + 1;
  }

  /** HTTP/1.x; known once `done`. */
  get minorVersion(): 0 | 1 {
    return this.#minor === 0 ? 0 : 1;
  }

  reset(): void {
    this.methodEnd = 0;
    this.targetEnd = 0;
    this.done = false;
    this.refusal = null;
    this.fields.reset();
    this.#state = METHOD;
  }

  /**
   * Reads on at `from`, until `to`, the end of the head or a refusal, and returns where it stopped.
   * All bytes since `base`, where the head begins, must still be there.
   */
  scan(bytes: Uint8Array, from: number, to: number, base: number): number {
    const limit = base + this.#limits.headBytes;
    const end = Math.min(to, limit);
    let at = from;
    while (at < end && !this.done && this.refusal === null) {
      at = this.#step(bytes, at, end, base);
    }
    if (at === limit && !this.done && this.refusal === null) {
      return this.#refuse(at, 'head too large', 431);
    }
    return at;
  }

  #step(bytes: Uint8Array, at: number, end: number, base: number): number {
    switch (this.#state) {
      case METHOD:
        return this.#scanMethod(bytes, at, end, base);
      case IN_TARGET:
        return this.#scanTarget(bytes, at, end, base);
      case IN_VERSION:
        return this.#takeVersionByte(bytes[at] as number, at, at - base - this.targetEnd - 1);
      case LINE_LF:
        if (bytes[at] !== LF) return this.#refuse(at, 'bare CR');
        this.#state = FIELDS;
        return at + 1;
      default:
        return this.#scanFields(bytes, at, end, base);
    }
  }

  #scanMethod(bytes: Uint8Array, from: number, to: number, base: number): number {
    const end = Math.min(to, base + MAX_METHOD_BYTES + 1);
    const at = skipClass(TOKEN, bytes, from, end);
    if (at - base > MAX_METHOD_BYTES) return this.#refuse(at, 'unknown method', 501);
    if (at === end) return at;
    if (at === base || bytes[at] !== SPACE) return this.#refuse(at, 'malformed method');
    this.methodEnd = at - base;
    this.#state = IN_TARGET;
    return at + 1;
  }

  #scanTarget(bytes: Uint8Array, from: number, to: number, base: number): number {
    const start = base + this.targetStart;
    const end = Math.min(to, start + this.#limits.targetBytes + 1);
    const at = skipClass(TARGET, bytes, from, end);
    if (at - start > this.#limits.targetBytes) return this.#refuse(at, 'target too long', 414);
    if (at === end) return at;
    if (bytes[at] === CR || bytes[at] === LF) return this.#refuse(at, 'no version (HTTP/0.9)');
    if (at === start || bytes[at] !== SPACE) return this.#refuse(at, 'malformed target');
    this.targetEnd = at - base;
    this.#state = IN_VERSION;
    return at + 1;
  }

  #takeVersionByte(byte: number, at: number, index: number): number {
    const isDigit = byte >= 0x30 && byte <= 0x39;
    if (index === MAJOR_AT && isDigit) {
      this.#major = byte - 0x30;
      return at + 1;
    }
    if (index === MINOR_AT && isDigit) {
      this.#minor = byte - 0x30;
      if (this.#major === 1 && this.#minor <= 1) return at + 1;
      return this.#refuse(at, 'version other than HTTP/1.0 and HTTP/1.1', 505);
    }
    if (index === VERSION.length && byte === CR) {
      this.#state = LINE_LF;
      return at + 1;
    }
    const isExpected = index < VERSION.length && byte === VERSION.charCodeAt(index);
    return isExpected && byte !== 0x3f ? at + 1 : this.#refuse(at, 'malformed version');
  }

  #scanFields(bytes: Uint8Array, from: number, to: number, base: number): number {
    const at = this.fields.scan(bytes, from, to, base);
    this.done = this.fields.done;
    this.refusal = this.fields.refusal;
    return at;
  }

  #refuse(at: number, reason: string, status = 400): number {
    this.refusal = { status, reason };
    return at;
  }
}
