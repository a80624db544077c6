/**
 * A reader for the YAML that configuration files are mostly made of: block maps and lists, flow
 * maps and lists on one line, plain and simply quoted scalars, comments. It exists because `yaml`
 * takes six seconds for ten thousand services. It never guesses: where a line isn't surely of that
 * kind it gives up (null), and `yaml` decides. A test compares the two.
 */
import type { Marks, Source } from './source.js';
import { GaveUp, readInline } from './yaml-plain-inline.js';
import { type Line, PlainLines } from './yaml-plain-lines.js';

const MAX_DEPTH = 50;
const BLOCK_KEY = /(?:[A-Za-z0-9_][A-Za-z0-9_./-]*|"[^"\\\n]+"|'[^'\n]+'):(?=[ \r\n]|$)/y;

/** The key of the one map that is ever large: a lean reader marks its entries, and nothing in them. */
const LARGE_MAP = 'services';

/** The value of the file's one document, or null where this reader doesn't know. */
export function readPlainYaml(
  source: Source,
  marks: Marks,
  isLean = false,
): { readonly value: unknown } | null {
  try {
    const lines = new PlainLines(source.text);
    const first = lines.peek();
    if (first === null) return { value: null };
    const value = new BlockReader(source, marks, lines, isLean).readBlock(first.indent, 0);
    return lines.peek() === null ? { value } : null;
  } catch (error) {
    if (error instanceof GaveUp) return null;
    throw error;
  }
}

class BlockReader {
  /** Maps and lists that are nested deeper aren't marked. */
  #markedDepth = Number.POSITIVE_INFINITY;

  constructor(
    private readonly source: Source,
    private readonly marks: Marks,
    private readonly lines: PlainLines,
    private readonly isLean: boolean,
  ) {}

  readBlock(indent: number, depth: number): unknown {
    if (depth > MAX_DEPTH) throw new GaveUp();
    const line = this.lines.peek();
    if (line === null) throw new GaveUp();
    return isItem(this.source.text, line.start)
      ? this.#readList(indent, depth)
      : this.#readMap(indent, depth);
  }

  #readList(indent: number, depth: number): unknown[] {
    const list: unknown[] = [];
    for (let line = this.#next(indent); line !== null; line = this.#next(indent)) {
      if (!isItem(this.source.text, line.start)) break;
      let start = line.start + 1;
      while (this.source.text[start] === ' ') start += 1;
      if (start >= line.end || this.source.text[start] === '#') throw new GaveUp();
      this.#mark(list, list.length, start, start, depth);
      // `- key: value`: the rest of the line is the first line of a block that is indented more.
      const isBlock = isItem(this.source.text, start) || this.#keyEnd(start) !== null;
      if (isBlock) {
        this.lines.replace({ start, end: line.end, indent: indent + start - line.start });
        list.push(this.readBlock(indent + start - line.start, depth + 1));
      } else {
        this.lines.advance();
        list.push(this.#inline(start, line, depth));
        this.#expectDedent(indent);
      }
    }
    return list;
  }

  #readMap(indent: number, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let line = this.#next(indent); line !== null; line = this.#next(indent)) {
      const keyEnd = this.#keyEnd(line.start);
      if (keyEnd === null) throw new GaveUp();
      const name = unquote(this.source.text.slice(line.start, keyEnd));
      if (name === '__proto__' || Object.hasOwn(map, name)) throw new GaveUp();
      if (depth === 0 && this.isLean)
        this.#markedDepth = name === LARGE_MAP ? 1 : Number.POSITIVE_INFINITY;
      let start = keyEnd + 1;
      while (this.source.text[start] === ' ') start += 1;
      this.lines.advance();
      const isEmpty = start >= line.end || this.source.text[start] === '#';
      if (isEmpty) {
        map[name] = this.#nested(map, name, line.start, indent, depth);
      } else {
        this.#mark(map, name, line.start, start, depth);
        map[name] = this.#inline(start, line, depth);
        this.#expectDedent(indent);
      }
    }
    return map;
  }

  /** The value of a key with nothing after it on its line. */
  #nested(map: object, name: string, keyOffset: number, indent: number, depth: number): unknown {
    const line = this.lines.peek();
    const isList = line?.indent === indent && isItem(this.source.text, line.start);
    if (line === null || (line.indent <= indent && !isList)) {
      this.#mark(map, name, keyOffset, keyOffset, depth);
      return null;
    }
    this.#mark(map, name, keyOffset, line.start, depth);
    return this.readBlock(line.indent, depth + 1);
  }

  #mark(
    container: object,
    key: string | number,
    keyOffset: number,
    valueOffset: number,
    depth: number,
  ): void {
    if (depth <= this.#markedDepth)
      this.marks.set(container, key, this.source, keyOffset, valueOffset);
  }

  #inline(start: number, line: Line, depth: number): unknown {
    const marks = depth < this.#markedDepth ? this.marks : null;
    return readInline(this.source, marks, start, line.end, depth);
  }

  /** The next line of this block; null at its end. A line in between two indents isn't ours to judge. */
  #next(indent: number): Line | null {
    const line = this.lines.peek();
    if (line === null || line.indent < indent) return null;
    if (line.indent > indent) throw new GaveUp();
    return line;
  }

  /** After a value that ended on its line: a deeper line would continue it. */
  #expectDedent(indent: number): void {
    if ((this.lines.peek()?.indent ?? 0) > indent) throw new GaveUp();
  }

  #keyEnd(start: number): number | null {
    BLOCK_KEY.lastIndex = start;
    return BLOCK_KEY.test(this.source.text) ? BLOCK_KEY.lastIndex - 1 : null;
  }
}

function isItem(text: string, start: number): boolean {
  return text[start] === '-' && text[start + 1] === ' ';
}

function unquote(text: string): string {
  return text.startsWith('"') || text.startsWith("'") ? text.slice(1, -1) : text;
}
