import type { Position } from './model.js';
import type { KeyPath } from './problem.js';

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

/** The marks of one map or list; flat, since a large configuration has a hundred thousand. */
class MarkList {
  readonly #keys: (string | number)[] = [];
  readonly #sources: Source[] = [];
  readonly #offsets: number[] = [];
  #indexes: Map<string | number, number> | null = null;

  add(key: string | number, mark: Mark): void {
    this.#indexes?.set(key, this.#keys.length);
    this.#keys.push(key);
    this.#sources.push(mark.source);
    this.#offsets.push(mark.keyOffset, mark.valueOffset);
  }

  get(key: string | number): Mark | undefined {
    const index = this.#indexOf(key);
    const source = this.#sources[index];
    if (source === undefined) return undefined;
    const [keyOffset = 0, valueOffset = 0] = this.#offsets.slice(2 * index, 2 * index + 2);
    return { source, keyOffset, valueOffset };
  }

  #indexOf(key: string | number): number {
    if (this.#keys.length <= 16) return this.#keys.lastIndexOf(key);
    this.#indexes ??= new Map(this.#keys.map((one, index) => [one, index]));
    return this.#indexes.get(key) ?? -1;
  }
}

/** Remembers for every map and list where each of its entries stands. */
export class Marks {
  // No WeakMap: with this many entries it costs the collector a second.
  #lists = new Map<object, MarkList>();

  set(container: object, key: string | number, mark: Mark): void {
    let list = this.#lists.get(container);
    if (list === undefined) {
      list = new MarkList();
      this.#lists.set(container, list);
    }
    list.add(key, mark);
  }

  get(container: object, key: string | number): Mark | undefined {
    return this.#lists.get(container)?.get(key);
  }

  copy(from: object, to: object, key: string): void {
    const mark = this.get(from, key);
    if (mark !== undefined) this.set(to, key, mark);
  }

  /** The mark of the entry that a path leads to, or of the nearest entry above it that exists. */
  find(root: unknown, path: KeyPath): { readonly mark: Mark | undefined; readonly exact: boolean } {
    let mark: Mark | undefined;
    let value = root;
    for (const part of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) {
        return { mark, exact: false };
      }
      mark = this.get(value, part) ?? mark;
      value = (value as Record<string | number, unknown>)[part];
    }
    return { mark, exact: true };
  }
}
