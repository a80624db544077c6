import { resolve } from 'node:path';
import { type ConfigProblem, formatKeyPath, type KeyPath, type Position } from './problem.js';
import { RepeatingParser } from './repeating-parser.js';
import type { Marks } from './source.js';

export interface ProblemOptions {
  /** Whether the key or its value is wrong; a key that is missing is sought one level up. */
  readonly at?: 'key' | 'value';
  /** The other side of a conflict. */
  readonly related?: KeyPath;
}

/** What the steps of loading share: the tree as it was written, its positions, and what is wrong. */
export class LoadContext {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: ConfigProblem[] = [];
  root: Record<string, unknown> = {};
  readonly parser = new RepeatingParser();
  readonly #made = new Map<object, unknown>();
  #isVague = false;

  constructor(
    readonly marks: Marks,
    /** As in positions: the main file, or `<object>`. */
    readonly file: string,
    private readonly directory: string,
  ) {}

  problem(path: KeyPath, message: string, options: ProblemOptions = {}): void {
    this.problems.push(this.#describe(path, message, options));
  }

  warn(path: KeyPath, message: string, options: ProblemOptions = {}): void {
    this.warnings.push(this.#describe(path, message, options));
  }

  /** Whether a place was asked for that nothing marks: what was told is somewhere above it. */
  get isVague(): boolean {
    return this.#isVague;
  }

  /** What was made of this very object before, unless something was wrong with it. */
  once<T>(of: object, make: () => T): T {
    const known = this.#made.get(of);
    if (known !== undefined) return known as T;
    const problems = this.problems.length;
    const made = make();
    if (this.problems.length === problems) this.#made.set(of, made);
    return made;
  }

  position(path: KeyPath, at: 'key' | 'value' = 'value'): Position {
    const { mark, exact, isOwn } = this.marks.find(this.root, path);
    if (!isOwn) this.#isVague = true;
    if (mark !== undefined) {
      return mark.source.position(exact && at === 'value' ? mark.valueOffset : mark.keyOffset);
    }
    return { file: this.file, line: 0, column: 0 };
  }

  /** A path of the configuration, which counts from the file that it stands in, as an absolute one. */
  absolute(path: KeyPath, value: string): string {
    return resolve(
      this.marks.find(this.root, path).mark?.source.directory ?? this.directory,
      value,
    );
  }

  #describe(path: KeyPath, message: string, { at, related }: ProblemOptions): ConfigProblem {
    return {
      message,
      position: this.position(path, at),
      keyPath: formatKeyPath(path),
      related: related === undefined ? undefined : this.position(related),
    };
  }
}
