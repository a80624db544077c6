import {
  BACKSLASH,
  CR,
  EQUALS,
  FIELD_VALUE,
  hexDigit,
  LF,
  QUOTE,
  QUOTED,
  SEMICOLON,
  TOKEN,
} from './byte-classes.js';
import { ByteStore } from './byte-store.js';
import { kindOfTrailer } from './field-names.js';
import { FieldSection, type HttpRefusal, type NameCheck } from './field-section.js';

export interface ChunkedLimits {
  /** Bytes of extensions of one chunk, and of all chunks of a body. */
  readonly chunkExtensionBytes: number;
  readonly extensionBytes: number;
  readonly trailerBytes: number;
  readonly trailers: number;
}

const MAX_SIZE_DIGITS = 16;

type State =
  | 'size'
  | 'extension-start'
  | 'extension-name'
  | 'extension-value-start'
  | 'extension-value'
  | 'quoted'
  | 'quoted-pair'
  | 'quoted-end'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailers';

/**
 * Finds the end of a chunked body (RFC 9112 7.1) and refuses what two parsers could read
 * differently: it decodes nothing. It is used again after `reset`.
 */
export class ChunkedScanner {
  done = false;
  refusal: HttpRefusal | null = null;
  readonly #limits: ChunkedLimits;
  readonly #trailers: FieldSection;
  /** Trailers are rare and short: they are always copied, so that a split changes nothing. */
  readonly #trailerBytes = new ByteStore();
  #state: State = 'size';
  #size = 0;
  #digits = 0;
  #chunkExtensionBytes = 0;
  #extensionBytes = 0;

  constructor(limits: ChunkedLimits, checkName: NameCheck = kindOfTrailer) {
    this.#limits = limits;
    this.#trailers = new FieldSection(limits.trailers, checkName);
  }

  reset(): void {
    this.done = false;
    this.refusal = null;
    this.#trailers.reset();
    this.#trailerBytes.clear();
    this.#state = 'size';
    this.#size = 0;
    this.#digits = 0;
    this.#chunkExtensionBytes = 0;
    this.#extensionBytes = 0;
  }

  /** Reads on at `from`, until `to`, the body's end or a refusal, and returns where it stopped. */
  scan(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    while (at < to && !this.done && this.refusal === null) {
      if (this.#state === 'data') at = this.#skipData(at, to);
      else if (this.#state === 'trailers') at = this.#scanTrailers(bytes, at, to);
      else if (this.#takeByte(bytes[at] as number)) at += 1;
    }
    return at;
  }

  #skipData(from: number, to: number): number {
    const end = Math.min(to, from + this.#size);
    this.#size -= end - from;
    if (this.#size === 0) this.#state = 'data-cr';
    return end;
  }

  #takeByte(byte: number): boolean {
    switch (this.#state) {
      case 'size':
        return this.#takeSize(byte);
      case 'size-lf':
        return this.#takeSizeLf(byte);
      case 'data-cr':
        return this.#expect(byte, CR, 'data-lf', 'chunk data longer than its size');
      case 'data-lf':
        return this.#expect(byte, LF, 'size', 'bare CR after chunk data');
      default:
        return this.#takeExtension(byte);
    }
  }

  #takeSize(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit < 0) {
      if (this.#digits === 0) return this.#refuse('chunk size that is no number');
      return this.#endToken(byte, 'invalid character in a chunk size');
    }
    this.#digits += 1;
    this.#size = this.#size * 16 + digit;
    if (this.#digits > MAX_SIZE_DIGITS || this.#size > Number.MAX_SAFE_INTEGER) {
      return this.#refuse('chunk size too large');
    }
    return true;
  }

  #takeSizeLf(byte: number): boolean {
    if (byte !== LF) return this.#refuse('bare CR in a chunk line');
    this.#state = this.#size === 0 ? 'trailers' : 'data';
    this.#digits = 0;
    this.#chunkExtensionBytes = 0;
    return true;
  }

  #takeExtension(byte: number): boolean {
    this.#chunkExtensionBytes += 1;
    this.#extensionBytes += 1;
    const { chunkExtensionBytes, extensionBytes } = this.#limits;
    if (this.#chunkExtensionBytes > chunkExtensionBytes || this.#extensionBytes > extensionBytes) {
      return this.#refuse('chunk extensions too long');
    }
    switch (this.#state) {
      case 'extension-start':
        return this.#takeIf(TOKEN[byte] === 1, 'extension-name');
      case 'extension-name':
        if (byte === EQUALS) return this.#become('extension-value-start');
        return TOKEN[byte] === 1 || this.#endToken(byte);
      case 'extension-value-start':
        if (byte === QUOTE) return this.#become('quoted');
        return this.#takeIf(TOKEN[byte] === 1, 'extension-value');
      case 'extension-value':
        return TOKEN[byte] === 1 || this.#endToken(byte);
      case 'quoted':
        return this.#takeQuoted(byte);
      case 'quoted-pair':
        return this.#takeIf(FIELD_VALUE[byte] === 1, 'quoted');
      default:
        return this.#endToken(byte);
    }
  }

  #takeQuoted(byte: number): boolean {
    if (byte === QUOTE) return this.#become('quoted-end');
    if (byte === BACKSLASH) return this.#become('quoted-pair');
    return this.#takeIf(QUOTED[byte] === 1, 'quoted');
  }

  /** What may follow a size, an extension's name or its value. */
  #endToken(byte: number, reason = 'malformed chunk extension'): boolean {
    if (byte === CR) return this.#become('size-lf');
    if (byte === SEMICOLON) return this.#become('extension-start');
    return this.#refuse(reason);
  }

  #scanTrailers(bytes: Uint8Array, from: number, to: number): number {
    const held = this.#trailerBytes.length;
    const roomBytes = this.#limits.trailerBytes - held;
    this.#trailerBytes.append(bytes, from, Math.min(to, from + roomBytes));
    const trailers = this.#trailerBytes.bytes;
    const scannedTo = this.#trailers.scan(trailers, held, trailers.length, 0);
    this.done = this.#trailers.done;
    this.refusal = this.#trailers.refusal;
    const at = from + scannedTo - held;
    if (!this.done && this.refusal === null && at - from === roomBytes) {
      this.refusal = { status: 431, reason: 'trailers too large' };
    }
    return at;
  }

  #expect(byte: number, expected: number, next: State, reason: string): boolean {
    return byte === expected ? this.#become(next) : this.#refuse(reason);
  }

  #takeIf(isValid: boolean, next: State): boolean {
    return isValid ? this.#become(next) : this.#refuse('malformed chunk extension');
  }

  #become(state: State): boolean {
    this.#state = state;
    return true;
  }

  #refuse(reason: string): boolean {
    this.refusal = { status: 400, reason };
    return false;
  }
}
