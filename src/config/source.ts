import type { KeyPath, Position } from './problem.js';

/** The text of a configuration file; turns offsets into lines and columns when somebody asks. */
export class Source {
  #lineStarts: number[] | null = null;

  constructor(
    /** As the user named it, for messages. */
    readonly file: string,
    /** Relative paths in the file count from here. */
    readonly directory: string,
    readonly text: string,
  ) {}

  position(offset: number): Position {
    this.#lineStarts ??= findLineStarts(this.text);
    const starts = this.#lineStarts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { file: this.file, line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  }
}

function findLineStarts(text: string): number[] {
  const starts = [0];
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) {
    starts.push(end + 1);
  }
  return starts;
}

/** Where an entry of a map or a list stands. */
export interface Mark {
  readonly source: Source;
  readonly keyOffset: number;
  readonly valueOffset: number;
}

export interface FoundMark {
  readonly mark: Mark | undefined;
  /** Whether the entry exists. */
  readonly exact: boolean;
  /** Whether the mark is the entry's own. */
  readonly isOwn: boolean;
}

/** What is kept of a mark: key, source, keyOffset, valueOffset, one after the other. */
type FlatMarks = (string | number | Source)[];
const FLAT_LENGTH = 4;
/** From here on a list of marks gets an index. */
const INDEXED_FROM = 16 * FLAT_LENGTH;

/** Remembers for every map and list where each of its entries stands. */
export class Marks {
  // Flat, and no WeakMap: a large configuration has a hundred thousand marks, and the collector
  // would take longer over them than the reader over the text.
  #lists = new Map<object, FlatMarks>();
  #indexes = new Map<object, Map<string | number, number>>();

  set(
    container: object,
    key: string | number,
    source: Source,
    keyOffset: number,
    valueOffset: number,
  ): void {
    const list = this.#lists.get(container);
    if (list === undefined) this.#lists.set(container, [key, source, keyOffset, valueOffset]);
    else {
      this.#indexes.get(container)?.set(key, list.length);
      list.push(key, source, keyOffset, valueOffset);
    }
  }

  get(container: object, key: string | number): Mark | undefined {
    const list = this.#lists.get(container);
    if (list === undefined) return undefined;
    const at =
      list.length < INDEXED_FROM ? search(list, key) : this.#index(container, list).get(key);
    if (at === undefined) return undefined;
    const [, source, keyOffset, valueOffset] = list.slice(at, at + FLAT_LENGTH);
    return {
      source: source as Source,
      keyOffset: keyOffset as number,
      valueOffset: valueOffset as number,
    };
  }

  #index(container: object, list: FlatMarks): Map<string | number, number> {
    let index = this.#indexes.get(container);
    if (index === undefined) {
      index = new Map();
      for (let at = 0; at < list.length; at += FLAT_LENGTH) {
        index.set(list[at] as string | number, at);
      }
      this.#indexes.set(container, index);
    }
    return index;
  }

  copy(from: object, to: object, key: string): void {
    const mark = this.get(from, key);
    if (mark !== undefined) this.set(to, key, mark.source, mark.keyOffset, mark.valueOffset);
  }

  /** The mark of the entry that a path leads to, or of the nearest entry above it that exists. */
  find(root: unknown, path: KeyPath): FoundMark {
    let mark: Mark | undefined;
    let isOwn = false;
    let value = root;
    for (const part of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) {
        return { mark, exact: false, isOwn: false };
      }
      const own = this.get(value, part);
      isOwn = own !== undefined;
      mark = own ?? mark;
      value = (value as Record<string | number, unknown>)[part];
    }
    return { mark, exact: true, isOwn };
  }
}

function search(list: FlatMarks, key: string | number): number | undefined {
  for (let at = 0; at < list.length; at += FLAT_LENGTH) if (list[at] === key) return at;
  return undefined;
}
