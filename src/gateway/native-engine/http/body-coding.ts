import { hexDigit, LF } from '../../byte-classes.js';
import { endLine } from './copy-fields.js';
import { bytes, move } from './memory.js';

const LAST_CHUNK = '0\r\n\r\n';

/** Writes bytes of the memory to `at` as one chunk (RFC 9112 7.1). Returns where it stopped writing. */
export function writeChunk(from: number, to: number, at: number): number {
  if (from === to) return at;
  const sizeEnd = endLine(at + bytes.write((to - from).toString(16), at, 'latin1'));
  return endLine(move(from, to, sizeEnd));
}

export function writeLastChunk(at: number): number {
  return at + bytes.write(LAST_CHUNK, at, 'latin1');
}

const IN_SIZE = 0;
const IN_LINE = 1;
const IN_DATA = 2;
const AFTER_DATA = 3;
const IN_TRAILERS = 4;

/** Takes the framing off a chunked body that `ChunkedScanner` has found sound. */
export class Dechunker {
  #state = IN_SIZE;
  #leftBytes = 0;

  /** Writes the data of these bytes of the memory to `writeAt`, and returns where it stopped writing. */
  decode(from: number, to: number, writeAt: number): number {
    let at = from;
    let written = writeAt;
    while (at < to && this.#state !== IN_TRAILERS) {
      if (this.#state === IN_DATA) {
        const end = Math.min(to, at + this.#leftBytes);
        written = move(at, end, written);
        this.#leftBytes -= end - at;
        if (this.#leftBytes === 0) this.#state = AFTER_DATA;
        at = end;
      } else {
        this.#takeByte(bytes[at] as number);
        at += 1;
      }
    }
    return written;
  }

  #takeByte(byte: number): void {
    const isLineEnd = byte === LF;
    if (this.#state === AFTER_DATA) {
      if (isLineEnd) this.#state = IN_SIZE;
    } else if (isLineEnd) {
      this.#state = this.#leftBytes === 0 ? IN_TRAILERS : IN_DATA;
    } else if (this.#state === IN_SIZE) {
      const digit = hexDigit(byte);
      if (digit < 0) this.#state = IN_LINE;
      else this.#leftBytes = this.#leftBytes * 16 + digit;
    }
  }
}
