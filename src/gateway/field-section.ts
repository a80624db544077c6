import { COLON, CR, FIELD_VALUE, HTAB, LF, SPACE, skipClass, TOKEN } from './byte-classes.js';
import { refusalOfName } from './field-names.js';

/** Why a request isn't read on: the status of the answer, and the reason for the log. */
export interface HttpRefusal {
  readonly status: number;
  readonly reason: string;
}

/** A field name's kind, as soon as it is complete; negative: what `refusalOfName` explains. */
export type NameCheck = (bytes: Uint8Array, start: number, end: number) => number;

const LINE_START = 0;
const NAME = 1;
const LEADING_SPACE = 2;
const VALUE = 3;
const VALUE_LF = 4;
const END_LF = 5;

/**
 * Scans field lines up to the empty line (RFC 9112 5): headers, or trailers. Takes only what every
 * parser reads alike: no folding, no bare CR or LF, no space before the colon, no control
 * characters. It keeps offsets and copies nothing; it is used again after `reset`.
 */
export class FieldSection {
  /** Four for each field, counted from `base`: name start, name end, value start, value end. */
  readonly #offsets: Int32Array;
  readonly #kinds: Uint8Array;
  #offsetCount = 0;
  done = false;
  refusal: HttpRefusal | null = null;
  #state = LINE_START;
  readonly #checkName: NameCheck;

  constructor(maxFields: number, checkName: NameCheck) {
    this.#offsets = new Int32Array(4 * maxFields);
    this.#kinds = new Uint8Array(maxFields);
    this.#checkName = checkName;
  }

  /** The offsets, of which the first `offsetCount` are in use; valid until the next `reset`. */
  get offsets(): Int32Array {
    return this.#offsets;
  }

  get offsetCount(): number {
    return this.#offsetCount;
  }

  /** One for each field: what the check of its name made of it. */
  get kinds(): Uint8Array {
    return this.#kinds;
  }

  /** Whether there is a field of this kind. */
  has(kind: number): boolean {
    const at = this.#kinds.indexOf(kind);
    return at >= 0 && at < this.#offsetCount >> 2;
  }

  reset(): void {
    this.#offsetCount = 0;
    this.done = false;
    this.refusal = null;
    this.#state = LINE_START;
  }

  /**
   * Reads on at `from`, until `to`, the end of the section or a refusal, and returns where it
   * stopped. All bytes since `base` must still be there.
   */
  scan(bytes: Uint8Array, from: number, to: number, base: number): number {
    let at = from;
    while (at < to && !this.done && this.refusal === null) {
      switch (this.#state) {
        case LINE_START:
          at = this.#beginLine(bytes, at, base);
          break;
        case NAME:
          at = this.#scanName(bytes, at, to, base);
          break;
        case LEADING_SPACE:
          at = this.#skipSpace(bytes, at, to, base);
          break;
        case VALUE:
          at = this.#scanValue(bytes, at, to, base);
          break;
        default:
          at = this.#takeLf(bytes, at);
      }
    }
    return at;
  }

  #beginLine(bytes: Uint8Array, at: number, base: number): number {
    const byte = bytes[at] as number;
    if (byte === CR) {
      this.#state = END_LF;
      return at + 1;
    }
    if (byte === SPACE || byte === HTAB) return this.#refuse(at, 'folded header line');
    if (this.#offsetCount === this.#offsets.length) {
      return this.#refuse(at, 'too many header lines', 431);
    }
    this.#offsets[this.#offsetCount++] = at - base;
    this.#state = NAME;
    return at;
  }

  #scanName(bytes: Uint8Array, from: number, to: number, base: number): number {
    const at = skipClass(TOKEN, bytes, from, to);
    if (at === to) return at;
    if (bytes[at] !== COLON) return this.#refuse(at, nameFault(bytes[at] as number));
    const start = base + (this.#offsets[this.#offsetCount - 1] as number);
    if (at === start) return this.#refuse(at, 'empty header name');
    const kind = this.#checkName(bytes, start, at);
    if (kind < 0) {
      this.refusal = refusalOfName(kind);
      return at;
    }
    this.#kinds[this.#offsetCount >> 2] = kind;
    this.#offsets[this.#offsetCount++] = at - base;
    this.#state = LEADING_SPACE;
    return at + 1;
  }

  #skipSpace(bytes: Uint8Array, from: number, to: number, base: number): number {
    let at = from;
    while (at < to && isSpace(bytes[at] as number)) at += 1;
    if (at === to) return at;
    this.#offsets[this.#offsetCount++] = at - base;
    this.#state = VALUE;
    return at;
  }

  #scanValue(bytes: Uint8Array, from: number, to: number, base: number): number {
    const at = skipClass(FIELD_VALUE, bytes, from, to);
    if (at === to) return at;
    if (bytes[at] === LF) return this.#refuse(at, 'bare LF');
    if (bytes[at] !== CR) return this.#refuse(at, 'control character in a header value');
    const start = base + (this.#offsets[this.#offsetCount - 1] as number);
    let end = at;
    while (end > start && isSpace(bytes[end - 1] as number)) end -= 1;
    this.#offsets[this.#offsetCount++] = end - base;
    this.#state = VALUE_LF;
    return at + 1;
  }

  #takeLf(bytes: Uint8Array, at: number): number {
    if (bytes[at] !== LF) return this.#refuse(at, 'bare CR');
    this.done = this.#state === END_LF;
    this.#state = LINE_START;
    return at + 1;
  }

  #refuse(at: number, reason: string, status = 400): number {
    this.refusal = { status, reason };
    return at;
  }
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === HTAB;
}

function nameFault(byte: number): string {
  if (isSpace(byte)) return 'space in or after a header name';
  if (byte === LF) return 'bare LF';
  return byte === CR ? 'header line without a colon' : 'invalid character in a header name';
}
