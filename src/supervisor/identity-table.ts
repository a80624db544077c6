import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, RouseError } from '../base/errors.js';

/** First and last id of a run. */
export type Range = readonly [number, number];

/** Which id (of user and group alike) belongs to which service, kept in a file over restarts. */
export class IdentityTable {
  readonly #file: string;
  readonly #ids: Map<string, number>;

  /** Throws `system` where the file is there but isn't what this class writes: a guess would give one service the files of another. */
  constructor(file: string) {
    this.#file = file;
    this.#ids = readTable(file);
  }

  get(name: string): number | null {
    return this.#ids.get(name) ?? null;
  }

  /**
   * Gives each name that has none an id in the range, and makes that durable before it returns.
   * Where the file is lost a name mostly gets the same id again: the search starts at its hash.
   */
  allocate(names: readonly string[], range: Range, isFree: (id: number) => boolean): void {
    const used = new Set(this.#ids.values());
    const added = new Map<string, number>();
    for (const name of new Set(names)) {
      if (this.#ids.has(name)) continue;
      const id = findFreeId(name, range, (candidate) => !used.has(candidate) && isFree(candidate));
      if (id === null) throw exhausted(name, range, this.#file);
      used.add(id);
      added.set(name, id);
    }
    if (added.size === 0) return;
    writeDurably(this.#file, serialise(new Map([...this.#ids, ...added])));
    for (const [name, id] of added) this.#ids.set(name, id);
  }
}

function findFreeId(
  name: string,
  [first, last]: Range,
  isFree: (id: number) => boolean,
): number | null {
  const count = last - first + 1;
  const start = createHash('sha256').update(name).digest().readUInt32LE();
  for (let step = 0; step < count; step += 1) {
    const id = first + ((start + step) % count);
    if (isFree(id)) return id;
  }
  return null;
}

function readTable(file: string): Map<string, number> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw unreadable(file, messageOf(error), error);
  }
  return parseTable(text, file);
}

function parseTable(text: string, file: string): Map<string, number> {
  let table: unknown;
  try {
    table = JSON.parse(text);
  } catch (error) {
    throw unreadable(file, 'not JSON', error);
  }
  const { version, ids } = (table ?? {}) as { version?: unknown; ids?: unknown };
  if (version !== 1) throw unreadable(file, 'no "version": 1 in it');
  if (typeof ids !== 'object' || ids === null) throw unreadable(file, 'no "ids" in it');
  const entries = Object.entries(ids);
  const bad = entries.find(([, id]) => !Number.isInteger(id) || id <= 0 || id >= 2 ** 32 - 1);
  if (bad !== undefined) throw unreadable(file, `no usable id for ${bad[0]}`);
  if (new Set(entries.map(([, id]) => id)).size < entries.length) {
    throw unreadable(file, 'one id is given to two services');
  }
  return new Map(entries);
}

function serialise(ids: ReadonlyMap<string, number>): string {
  return `${JSON.stringify({ version: 1, ids: Object.fromEntries(ids) }, null, 1)}\n`;
}

function writeDurably(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
    writeAndSync(temporary, text);
    renameSync(temporary, file);
    syncDirectory(dirname(file));
  } catch (error) {
    const advice = 'the identities of services must be kept there';
    throw new RouseError('system', `cannot write ${file}: ${messageOf(error)}; ${advice}`, {
      cause: error,
    });
  }
}

function writeAndSync(file: string, text: string): void {
  const fd = openSync(file, 'w', 0o640);
  try {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function unreadable(file: string, what: string, cause?: unknown): RouseError {
  const advice =
    'restore it from a backup; deleted, services get new identities and may find files of each other';
  return new RouseError(
    'system',
    `cannot use the table of identities ${file}: ${what}; ${advice}`,
    {
      cause,
    },
  );
}

function exhausted(name: string, [first, last]: Range, file: string): RouseError {
  const what = `service ${name}: no id is left between ${first} and ${last}`;
  return new RouseError(
    'system',
    `${what}; set run.user, or take services that are no more out of ${file}`,
  );
}
