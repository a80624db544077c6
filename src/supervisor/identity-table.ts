import { createHash, randomInt } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { messageOf, RouseError } from '../base/errors.js';

/** The state directories of a host's instances, as the units name them. */
const INSTANCE_NAME = /^rouse(-.+)?$/;
const ALLOCATION_TRIES = 20;

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
   * Gives each name that has none an id in the range, which no other rouse of this host has given
   * away, and makes that durable before it returns. Where the file is lost a name mostly gets the
   * same id again: the search starts at its hash.
   */
  allocate(names: readonly string[], range: Range, isFree: (id: number) => boolean): void {
    const missing = [...new Set(names)].filter((name) => !this.#ids.has(name));
    if (missing.length === 0) return;
    for (let attempt = 0; attempt < ALLOCATION_TRIES; attempt += 1) {
      const added = this.#choose(missing, range, isFree, attempt > 0);
      writeDurably(this.#file, serialise(new Map([...this.#ids, ...added])));
      // Written first and looked second: of two who choose one id at a time, one at least sees it.
      const foreign = readForeignIds(this.#file);
      if ([...added.values()].some((id) => foreign.has(id))) continue;
      for (const [name, id] of added) this.#ids.set(name, id);
      return;
    }
    throw contested(this.#file);
  }

  #choose(
    names: readonly string[],
    range: Range,
    isFree: (id: number) => boolean,
    isContested: boolean,
  ): Map<string, number> {
    const used = new Set([...this.#ids.values(), ...readForeignIds(this.#file)]);
    const added = new Map<string, number>();
    for (const name of names) {
      const start = isContested ? randomInt(2 ** 32) : hashOf(name);
      const id = findFreeId(start, range, (candidate) => !used.has(candidate) && isFree(candidate));
      if (id === null) throw exhausted(name, range, this.#file);
      used.add(id);
      added.set(name, id);
    }
    return added;
  }
}

/** The ids in the tables of this host's other instances, whose state directories lie beside (`/var/lib/rouse-NAME`). */
function readForeignIds(file: string): Set<number> {
  const own = dirname(file);
  const tables = readdirSync(dirname(own))
    .filter((name) => INSTANCE_NAME.test(name) && name !== basename(own))
    .map((name) => join(dirname(own), name, basename(file)))
    .filter(isOwn);
  return new Set(tables.flatMap((table) => [...readTable(table).values()]));
}

/** What another user put there, in /tmp for instance, is no table of an instance. */
function isOwn(file: string): boolean {
  try {
    return statSync(file).uid === process.geteuid?.();
  } catch {
    return false;
  }
}

const hashOf = (name: string) => createHash('sha256').update(name).digest().readUInt32LE();

function findFreeId(
  start: number,
  [first, last]: Range,
  isFree: (id: number) => boolean,
): number | null {
  const count = last - first + 1;
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

function contested(file: string): RouseError {
  return new RouseError(
    'system',
    `cannot give services identities of their own in ${file}: other instances take the same ones; start it again`,
  );
}
