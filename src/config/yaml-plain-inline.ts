import type { Marks, Source } from './source.js';
import { resolvePlainScalar } from './yaml-scalar.js';

/** The plain reader met something that it doesn't know. */
export class GaveUp extends Error {}

const MAX_DEPTH = 50;
/** A plain scalar that means the same everywhere: no indicator at its start, no `: `, no ` #`. */
const WORD = '(?:[A-Za-z0-9_./@=+%*~$-]|:(?=[A-Za-z0-9_./-]))+';
const BLOCK_PLAIN = new RegExp(`(?=[A-Za-z0-9_./+]|-[A-Za-z0-9_./-])${WORD}(?: ${WORD})*`, 'y');
const FLOW_KEY = /(?:[A-Za-z0-9_][A-Za-z0-9_./-]*|"[^"\\\n]+"|'[^'\n]+')(?=: )/y;
const DOUBLE_QUOTED = /"[^"\\\n]*"/y;
const SINGLE_QUOTED = /'[^'\n]*'(?!')/y;

/** Reads the value that fills a line from `start` to `end`, but for a comment; throws `GaveUp`. Without `marks` nothing in it is marked. */
export function readInline(
  source: Source,
  marks: Marks | null,
  start: number,
  end: number,
  depth: number,
): unknown {
  const reader = new InlineReader(source, marks, start);
  const value = reader.read(depth);
  reader.expectEnd(end);
  return value;
}

class InlineReader {
  constructor(
    private readonly source: Source,
    private readonly marks: Marks | null,
    private offset: number,
  ) {}

  read(depth: number): unknown {
    if (depth > MAX_DEPTH) throw new GaveUp();
    const first = this.source.text[this.offset];
    if (first === '{') return this.#readMap(depth);
    if (first === '[') return this.#readList(depth);
    if (first === '"') return this.#take(DOUBLE_QUOTED).slice(1, -1);
    if (first === "'") return this.#take(SINGLE_QUOTED).slice(1, -1);
    return resolvePlainScalar(this.#take(BLOCK_PLAIN));
  }

  /** Nothing but spaces and a comment may follow. */
  expectEnd(end: number): void {
    const valueEnd = this.offset;
    this.#skipSpaces();
    if (this.offset === end) return;
    if (this.source.text[this.offset] !== '#' || this.offset === valueEnd) throw new GaveUp();
  }

  #readMap(depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    this.#open();
    while (!this.#closes('}')) {
      const keyOffset = this.offset;
      const name = this.#take(FLOW_KEY).replace(/^["']|["']$/g, '');
      if (name === '__proto__' || Object.hasOwn(map, name)) throw new GaveUp();
      this.offset += 1;
      this.#skipSpaces();
      this.marks?.set(map, name, this.source, keyOffset, this.offset);
      map[name] = this.read(depth + 1);
      this.#separate('}');
    }
    return map;
  }

  #readList(depth: number): unknown[] {
    const list: unknown[] = [];
    this.#open();
    while (!this.#closes(']')) {
      this.marks?.set(list, list.length, this.source, this.offset, this.offset);
      list.push(this.read(depth + 1));
      this.#separate(']');
    }
    return list;
  }

  #open(): void {
    this.offset += 1;
    this.#skipSpaces();
  }

  #closes(bracket: string): boolean {
    if (this.source.text[this.offset] !== bracket) return false;
    this.offset += 1;
    return true;
  }

  #separate(bracket: string): void {
    this.#skipSpaces();
    const next = this.source.text[this.offset];
    if (next === ',') {
      this.offset += 1;
      this.#skipSpaces();
    } else if (next !== bracket) throw new GaveUp();
  }

  #skipSpaces(): void {
    while (this.source.text[this.offset] === ' ') this.offset += 1;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.offset;
    const match = pattern.exec(this.source.text);
    if (match === null) throw new GaveUp();
    this.offset = pattern.lastIndex;
    return match[0];
  }
}
