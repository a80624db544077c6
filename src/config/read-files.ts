import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { messageOf } from '../base/errors.js';
import { formatSize } from '../base/size.js';
import { expandGlob } from './glob.js';
import { isMap } from './merge-defaults.js';
import { type ConfigProblem, formatKeyPath, type KeyPath, type Position } from './problem.js';
import { INCLUDABLE_KEYS } from './schema/config.js';
import { type Mark, type Marks, Source } from './source.js';
import { didYouMean } from './suggest.js';
import { readYaml } from './yaml-tree.js';

const MAX_FILE_BYTES = 64 * 1024 ** 2;
const MAX_FILES = 100_000;
const MAX_INCLUDE_DEPTH = 100;
const MERGED_KEYS = ['listeners', 'services', 'gateways'] as const;

export interface ReadOptions {
  /** See `readPlainYaml`. */
  readonly isLean?: boolean;
  /** Of all files together; beyond that `TooLarge` is thrown. */
  readonly limitBytes?: number;
}

export class TooLarge extends Error {}

/** Reads a file and all that it includes into one tree; what is wrong goes into `problems`. */
export function readFiles(
  file: string,
  { marks, problems }: { readonly marks: Marks; readonly problems: ConfigProblem[] },
  options: ReadOptions,
): Record<string, unknown> {
  const reader = new FileReader(marks, problems, options);
  reader.read(file, null);
  return reader.root;
}

/** Reads what an object includes into the object's tree. */
export function readIncludes(
  object: Record<string, unknown>,
  directory: string,
  marks: Marks,
  problems: ConfigProblem[],
): Record<string, unknown> {
  const reader = new FileReader(marks, problems);
  reader.add(object, directory, '<object>');
  return reader.root;
}

class FileReader {
  readonly root: Record<string, unknown> = {};
  #seen = new Set<string>();
  #open: string[] = [];
  /** Whether the main file is being added: it may hold every key. */
  #isMain = true;
  #sizeBytes = 0;

  constructor(
    private readonly marks: Marks,
    private readonly problems: ConfigProblem[],
    private readonly options: ReadOptions = {},
  ) {}

  /** `from`: the `include` that names the file; null for the main file. */
  read(file: string, from: Mark | null): void {
    const real = this.#claim(file, from);
    if (real === null) return;
    const text = this.#readText(file, from);
    if (text === null) return;
    const source = new Source(file, dirname(resolve(file)), text);
    const result = readYaml(source, this.marks, this.options.isLean);
    if (!result.ok) {
      for (const { message, offset, relatedOffset } of result.problems) {
        const related = relatedOffset === undefined ? undefined : source.position(relatedOffset);
        this.#report(message, source.position(offset), [], related);
      }
      return;
    }
    if (result.value !== null && !isMap(result.value)) {
      this.#report('expected a map of keys at the top', source.position(0), []);
      return;
    }
    this.#open.push(real);
    this.add(result.value ?? {}, source.directory, file);
    this.#open.pop();
  }

  add(value: Record<string, unknown>, directory: string, file: string): void {
    const isMain = this.#isMain;
    this.#isMain = false;
    for (const name of Object.keys(value)) {
      if (isMain ? name === 'include' || !isMerged(name) : !isIncludable(name)) {
        if (isMain) this.#take(value, name);
        else this.#refuseKey(value, name, file);
      }
    }
    for (const name of MERGED_KEYS) this.#mergeMap(value, name, file);
    if (Array.isArray(value.include)) this.#include(value.include, directory, file);
    else if (value.include !== undefined && !isMain) {
      this.#report('expected a list', this.#keyPosition(value, 'include', file), ['include']);
    }
  }

  #take(value: Record<string, unknown>, name: string): void {
    this.root[name] = value[name];
    this.marks.copy(value, this.root, name);
  }

  #refuseKey(value: Record<string, unknown>, name: string, file: string): void {
    const hint = didYouMean(name, INCLUDABLE_KEYS);
    const message = `an included file may not hold this key${hint}`;
    this.#report(message, this.#keyPosition(value, name, file), [name]);
  }

  #mergeMap(value: Record<string, unknown>, name: string, file: string): void {
    const entries = value[name];
    if (entries === undefined) return;
    if (!isMap(entries)) {
      this.#report('expected a map of names', this.#keyPosition(value, name, file), [name]);
      return;
    }
    if (!Object.hasOwn(this.root, name)) {
      this.root[name] = {};
      this.marks.copy(value, this.root, name);
    }
    const merged = this.root[name] as Record<string, unknown>;
    for (const [entry, content] of Object.entries(entries)) {
      if (Object.hasOwn(merged, entry)) {
        const other = this.#keyPosition(merged, entry, file);
        this.#report(
          'this name is taken',
          this.#keyPosition(entries, entry, file),
          [name, entry],
          other,
        );
        continue;
      }
      merged[entry] = content;
      this.marks.copy(entries, merged, entry);
    }
  }

  #include(patterns: readonly unknown[], directory: string, file: string): void {
    for (const [index, pattern] of patterns.entries()) {
      if (typeof pattern !== 'string' || pattern === '') continue;
      const mark = this.marks.get(patterns, index) ?? null;
      for (const path of expandGlob(pattern, directory)) {
        this.read(displayed(path, directory, file), mark);
      }
    }
  }

  /** The file's true path, or null where it needn't or mustn't be read. */
  #claim(file: string, from: Mark | null): string | null {
    const position = positionOf(from, file);
    const path = from === null ? [] : ['include'];
    try {
      const real = realpathSync(file);
      if (this.#open.includes(real)) {
        this.#report(`"${file}" includes itself`, position, path);
        return null;
      }
      if (this.#seen.has(real)) return null;
      if (this.#open.length >= MAX_INCLUDE_DEPTH || this.#seen.size >= MAX_FILES) {
        this.#report('too many files are included', position, path);
        return null;
      }
      this.#seen.add(real);
      return real;
    } catch (error) {
      this.#report(`cannot read "${file}": ${messageOf(error)}`, position, path);
      return null;
    }
  }

  #readText(file: string, from: Mark | null): string | null {
    const position = positionOf(from, file);
    const path = from === null ? [] : ['include'];
    try {
      const status = statSync(file);
      if (!status.isFile() && !status.isFIFO() && !status.isCharacterDevice())
        throw new Error('it is no file');
      if (status.size > MAX_FILE_BYTES)
        throw new Error(`it has more than ${formatSize(MAX_FILE_BYTES)}`);
      this.#sizeBytes += status.size;
      if (this.#sizeBytes > (this.options.limitBytes ?? Number.POSITIVE_INFINITY))
        throw new TooLarge();
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(readFileSync(file));
    } catch (error) {
      if (error instanceof TooLarge) throw error;
      const isEncoding =
        error instanceof TypeError &&
        'code' in error &&
        error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA';
      this.#report(
        `cannot read "${file}": ${isEncoding ? 'it is not UTF-8' : messageOf(error)}`,
        position,
        path,
      );
      return null;
    }
  }

  #keyPosition(container: object, name: string, file: string): Position {
    const mark = this.marks.get(container, name);
    return mark === undefined ? { file, line: 0, column: 0 } : mark.source.position(mark.keyOffset);
  }

  #report(message: string, position: Position, path: KeyPath, related?: Position): void {
    this.problems.push({ message, position, keyPath: formatKeyPath(path), related });
  }
}

function isMerged(name: string): boolean {
  return (MERGED_KEYS as readonly string[]).includes(name);
}

function isIncludable(name: string): boolean {
  return (INCLUDABLE_KEYS as readonly string[]).includes(name);
}

function positionOf(from: Mark | null, file: string): Position {
  return from === null ? { file, line: 0, column: 0 } : from.source.position(from.valueOffset);
}

/** An included file as users of the including file would name it. */
function displayed(path: string, directory: string, file: string): string {
  if (file === '<object>' || isAbsolute(file)) return path;
  const base = dirname(file);
  return base === '.' ? relative(directory, path) : `${base}/${relative(directory, path)}`;
}
