import { GaveUp } from './yaml-plain-inline.js';

/** A line with something on it: `start` is its first character that is no space. */
export interface Line {
  readonly start: number;
  /** Behind its last character, without the line break. */
  readonly end: number;
  readonly indent: number;
}

/** Goes through a text's lines, past blank ones and those with nothing but a comment. */
export class PlainLines {
  #line: Line | null = null;
  #offset = 0;

  constructor(private readonly text: string) {
    // Tabs, carriage returns, byte order marks and other unusual characters are for `yaml`.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that's what is looked for
    if (/[\x00-\x09\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]/.test(text))
      throw new GaveUp();
    this.advance();
  }

  peek(): Line | null {
    return this.#line;
  }

  advance(): void {
    while (this.#offset < this.text.length) {
      const lineStart = this.#offset;
      const found = this.text.indexOf('\n', lineStart);
      const end = found === -1 ? this.text.length : found;
      this.#offset = end + 1;
      let start = lineStart;
      while (start < end && this.text[start] === ' ') start += 1;
      if (start === end || this.text[start] === '#') continue;
      if (start === lineStart && /^(?:---|\.\.\.|%)/.test(this.text.slice(start, start + 3))) {
        throw new GaveUp();
      }
      this.#line = { start, end, indent: start - lineStart };
      return;
    }
    this.#line = null;
  }

  /** Puts the rest of the current line in its place. */
  replace(line: Line): void {
    this.#line = line;
  }
}
