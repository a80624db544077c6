import { fstatSync, writeSync } from 'node:fs';
import { closeFd, createMemfd, readMemfd } from '../sys/descriptors.js';
import { type KeptDescriptors, keptName } from './kept-descriptors.js';
import type { RecordState } from './service-record.js';

/** What outlives a supervisor that dies: one row for each service that has ever been woken. */
export interface KeptRecord extends RecordState {
  readonly isFailed: boolean;
}

const KIND = 'records';
/** Changes with the form of what is written: a rouse of another form starts with empty records. */
const FORM = 1;
/** Of so many cold starts, the latest. */
export const KEPT_COLD_STARTS = 32;
/** What is said again and again isn't kept twice for long, in bytes. */
const REWRITE_FROM_BYTES = 1024 * 1024;
const LIMIT_BYTES = 256 * 1024 * 1024;

/**
 * The services' records in a memory file that the service manager keeps too: lines are appended as
 * things happen, the last one of a service counts, and one that was cut off by the supervisor's
 * death doesn't. When most of it is out of date it is written anew into another file, and the
 * manager is told to keep that one instead.
 */
export class KeptRecords {
  #fd: number | null = null;
  #serial = 0;
  #sizeBytes = 0;
  #rewriteAtBytes = REWRITE_FROM_BYTES;
  readonly #lines = new Map<string, string>();

  constructor(private readonly kept: KeptDescriptors) {}

  /** What the last rouse has kept, by service; from now on this one keeps it. */
  load(): ReadonlyMap<string, KeptRecord> {
    const found = this.#claimAll();
    const last = found.pop();
    for (const { name } of found) this.kept.forget(name);
    if (!last) return new Map();
    for (const [service, record] of last.rows) this.#lines.set(service, lineOf(service, record));
    this.#serial = last.serial;
    this.#rewrite(last.name);
    return last.rows;
  }

  /** In the order in which they were written. */
  #claimAll(): (Rows & { name: string })[] {
    const found = this.kept.unclaimed(KIND).flatMap(([name]) => {
      const fd = this.kept.claim(name, (each) => fstatSync(each).isFile());
      return fd === null ? [] : [{ ...parse(readMemfd(fd, LIMIT_BYTES)), name }];
    });
    return found.sort((a, b) => a.serial - b.serial);
  }

  /** The number of the file that is kept; null: there is none. */
  state(): number | null {
    return this.#fd === null ? null : this.#serial;
  }

  /** Replaces the file of an earlier self by one with these. */
  restore(serial: number | null, records: Iterable<readonly [string, KeptRecord]>): void {
    if (serial === null) return;
    this.#serial = serial;
    for (const [service, record] of records) this.#lines.set(service, lineOf(service, record));
    this.#rewrite(this.#name);
  }

  /** Whether anybody keeps them. */
  get isPossible(): boolean {
    return this.kept.isPossible;
  }

  /** To be called only where that is possible. */
  note(service: string, record: KeptRecord): void {
    const line = lineOf(service, record);
    if (this.#lines.get(service) === line) return;
    this.#lines.set(service, line);
    if (this.#fd === null) this.#rewrite(null);
    else if (this.#sizeBytes >= this.#rewriteAtBytes) this.#rewrite(this.#name);
    else this.#append(this.#fd, line);
  }

  /** The service was taken out of the config. */
  forget(service: string): void {
    this.#lines.delete(service);
  }

  #append(fd: number, text: string): void {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(fd, bytes, written, bytes.length - written, this.#sizeBytes + written);
    }
    this.#sizeBytes += bytes.length;
  }

  /** The new file is kept before the old one is forgotten: of two the later one counts. */
  #rewrite(oldName: string | null): void {
    this.close();
    this.#serial += 1;
    const head = `${JSON.stringify({ form: FORM, serial: this.#serial })}\n`;
    const fd = createMemfd('rouse-records', head);
    this.#fd = fd;
    this.#sizeBytes = Buffer.byteLength(head);
    this.#append(fd, [...this.#lines.values()].join(''));
    this.#rewriteAtBytes = Math.max(REWRITE_FROM_BYTES, 2 * this.#sizeBytes);
    this.kept.keep(this.#name, fd);
    if (oldName !== null) this.kept.forget(oldName);
  }

  get #name(): string {
    return keptName(KIND, `${this.#serial % 2}`);
  }

  close(): void {
    if (this.#fd !== null) closeFd(this.#fd);
    this.#fd = null;
  }
}

function lineOf(service: string, record: KeptRecord): string {
  return `${JSON.stringify([service, record])}\n`;
}

interface Rows {
  readonly serial: number;
  readonly rows: ReadonlyMap<string, KeptRecord>;
}

/** What follows the last line end was cut off. */
function parse(text: string): Rows {
  const [head = '', ...lines] = text.split('\n').slice(0, -1);
  try {
    const { form, serial } = JSON.parse(head) as Record<string, unknown>;
    if (form !== FORM || typeof serial !== 'number') return NOTHING;
    return { serial, rows: new Map(lines.map((line) => JSON.parse(line) as [string, KeptRecord])) };
  } catch {
    return NOTHING;
  }
}

const NOTHING: Rows = { serial: 0, rows: new Map() };
