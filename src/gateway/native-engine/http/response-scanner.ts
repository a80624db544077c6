import { CR, FIELD_VALUE, LF, SPACE, skipClass } from '../../byte-classes.js';
import { kindOfResponseHeader } from '../../field-names.js';
import { FieldSection } from '../../field-section.js';

const PREFIX = 'HTTP/1.';
const STATUS_FROM = 9;
const REASON_FROM = 12;
const LIMIT_BYTES = 64 * 1024;
const MAX_FIELDS = 256;

const IN_LINE = 0;
const LINE_LF = 1;
const FIELDS = 2;

/**
 * Scans the head of a response (RFC 9112 4, 5) as strictly as that of a request: what two parsers
 * could read differently is a fault. Keeps offsets and copies nothing; it is used again after `reset`.
 */
export class ResponseScanner {
  readonly fields = new FieldSection(MAX_FIELDS, kindOfResponseHeader);
  status = 0;
  minorVersion: 0 | 1 = 1;
  /** Of the status line's CR, counted from `base`. */
  lineEnd = 0;
  done = false;
  fault: string | null = null;
  #state = IN_LINE;

  reset(): void {
    this.fields.reset();
    this.status = 0;
    this.done = false;
    this.fault = null;
    this.#state = IN_LINE;
  }

  /**
   * Reads on at `from`, until `to`, the end of the head or a fault, and returns where it stopped.
   * All bytes since `base`, where the head begins, must still be there.
   */
  scan(bytes: Uint8Array, from: number, to: number, base: number): number {
    const limit = base + LIMIT_BYTES;
    const end = Math.min(to, limit);
    let at = from;
    while (at < end && !this.done && this.fault === null) at = this.#step(bytes, at, end, base);
    if (at === limit && !this.done) this.fault ??= 'head too large';
    return at;
  }

  #step(bytes: Uint8Array, at: number, end: number, base: number): number {
    if (this.#state === FIELDS) {
      const stopped = this.fields.scan(bytes, at, end, base);
      this.done = this.fields.done;
      this.fault = this.fields.refusal?.reason ?? null;
      return stopped;
    }
    if (this.#state === LINE_LF) {
      if (bytes[at] !== LF) return this.#refuse(at, 'bare CR');
      this.#state = FIELDS;
      return at + 1;
    }
    return at - base > REASON_FROM
      ? this.#scanReason(bytes, at, end, base)
      : this.#takeByte(bytes[at] as number, at, at - base, base);
  }

  #takeByte(byte: number, at: number, index: number, base: number): number {
    if (index < PREFIX.length) {
      return byte === PREFIX.charCodeAt(index) ? at + 1 : this.#refuse(at, 'not HTTP/1');
    }
    if (index === PREFIX.length) {
      if (byte !== 0x30 && byte !== 0x31) return this.#refuse(at, 'unknown version');
      this.minorVersion = byte === 0x30 ? 0 : 1;
      return at + 1;
    }
    if (index < STATUS_FROM) return byte === SPACE ? at + 1 : this.#refuse(at, 'unknown version');
    if (index < REASON_FROM) return this.#takeStatusDigit(byte, at, index);
    if (byte === CR) return this.#endLine(at, base);
    return byte === SPACE ? at + 1 : this.#refuse(at, 'malformed status');
  }

  #takeStatusDigit(byte: number, at: number, index: number): number {
    const digit = byte - 0x30;
    if (digit < 0 || digit > 9 || (index === STATUS_FROM && digit === 0)) {
      return this.#refuse(at, 'malformed status');
    }
    this.status = this.status * 10 + digit;
    return at + 1;
  }

  #scanReason(bytes: Uint8Array, from: number, end: number, base: number): number {
    const at = skipClass(FIELD_VALUE, bytes, from, end);
    if (at === end) return at;
    return bytes[at] === CR ? this.#endLine(at, base) : this.#refuse(at, 'malformed status line');
  }

  #endLine(at: number, base: number): number {
    this.lineEnd = at - base;
    this.#state = LINE_LF;
    return at + 1;
  }

  #refuse(at: number, fault: string): number {
    this.fault = fault;
    return at;
  }
}
