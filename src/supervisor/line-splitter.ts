const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
/** Octets of UTF-8 that continue a character are 10xxxxxx (RFC 3629 3). */
const CONTINUATION_MASK = 0xc0;
const CONTINUATION = 0x80;

/** Cuts a byte stream into lines of text; a line without end is cut at the limit, between characters. */
export class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);

  constructor(private readonly limitBytes: number) {}

  /** What came after the last line end. */
  get rest(): Uint8Array {
    return this.#rest;
  }

  /** The lines that are complete with this chunk, without their ends. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    const bytes = Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (;;) {
      const window = bytes.subarray(start, start + this.limitBytes + 1);
      const newline = window.indexOf(NEWLINE);
      if (newline < 0 && window.length <= this.limitBytes) break;
      const length = newline < 0 ? cutLength(window, this.limitBytes) : newline;
      lines.push(textOf(window.subarray(0, length)));
      start += newline < 0 ? length : newline + 1;
    }
    this.#rest = Buffer.from(bytes.subarray(start));
    return lines;
  }

  /** What is left when the stream ends: the last line, if it had no end. */
  finish(): string[] {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest.length === 0 ? [] : [textOf(rest)];
  }
}

function textOf(line: Buffer): string {
  return line.subarray(0, line.at(-1) === CARRIAGE_RETURN ? -1 : undefined).toString('utf8');
}

function cutLength(bytes: Buffer, limitBytes: number): number {
  for (let length = limitBytes; length > limitBytes - 4 && length > 0; length -= 1) {
    if (((bytes[length] ?? 0) & CONTINUATION_MASK) !== CONTINUATION) return length;
  }
  return limitBytes;
}
