import { join } from 'node:path';
import { messageOf } from '../base/errors.js';
import { printable } from '../base/printable.js';
import { Underway } from '../base/underway.js';
import { LineQueue } from './line-queue.js';
import { LineSplitter } from './line-splitter.js';
import { LogFile } from './log-file.js';

export interface OutputLogOptions {
  /** The service's name: letters, digits, `.`, `_` and `-`. */
  readonly name: string;
  /** The folder of all services' logs. */
  readonly directory: string;
  /** Told once for every run of failures; what couldn't be written is lost. */
  readonly onError: (message: string) => void;
  /** Told every line, escaped. */
  readonly onLine?: (line: string) => void;
  readonly limitBytes?: number;
  readonly now?: () => Date;
  /** Counts writes to the disk. */
  readonly underway?: Underway;
}

/** What an upgraded supervisor goes on with. */
export interface OutputState {
  readonly recent: readonly string[];
  /** Lines that aren't written yet. */
  readonly pending: readonly string[];
  readonly omitted: number;
  /** What came after the last line end. */
  readonly rest: Uint8Array;
}

const LIMIT_BYTES = 1024 * 1024;
const LINE_BYTES = 8 * 1024;
const RECENT_LINES = 20;
const FLUSH_MS = 100;
/** What a service may print ahead of the disk, in characters. */
const PENDING_LENGTH = 1024 * 1024;
const FOLLOWER_LENGTH = 1024 * 1024;

/**
 * What a service prints: escaped, with the time before each line, in a file that is bounded and
 * outlives the service. Everything in it is hostile: a reader may show it on a terminal as it is.
 */
export class OutputLog {
  readonly #name: string;
  readonly #file: LogFile;
  readonly #splitter = new LineSplitter(LINE_BYTES);
  readonly #now: () => Date;
  readonly #onError: (message: string) => void;
  readonly #onLine: (line: string) => void;
  readonly #underway: Underway;
  readonly #followers = new Set<(line: string) => void>();
  #recent: string[] = [];
  #pending: string[] = [];
  #pendingLength = 0;
  #omitted = 0;
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<void> = Promise.resolve();
  #isFailing = false;

  constructor(options: OutputLogOptions) {
    this.#name = options.name;
    this.#file = new LogFile(
      join(options.directory, `${options.name}.log`),
      options.limitBytes ?? LIMIT_BYTES,
    );
    this.#now = options.now ?? (() => new Date());
    this.#onError = options.onError;
    this.#onLine = options.onLine ?? (() => {});
    this.#underway = options.underway ?? new Underway();
  }

  state(): OutputState {
    return {
      recent: this.#recent,
      pending: this.#pending,
      omitted: this.#omitted,
      rest: this.#splitter.rest,
    };
  }

  /** Goes on where an earlier self was. */
  restore({ recent, pending, omitted, rest }: OutputState): void {
    this.#recent = [...recent];
    this.#splitter.push(rest);
    this.#omitted = omitted;
    for (const dated of pending) this.#enqueue(dated);
  }

  /**
   * Takes what the service printed. False: more than the disk has taken is waiting; the caller
   * should read on after `flush`, else lines are left out and counted.
   */
  write(chunk: Uint8Array): boolean {
    for (const line of this.#splitter.push(chunk)) this.#add(line);
    return this.#pendingLength < PENDING_LENGTH;
  }

  /** The instance ended: an unfinished last line counts, and all is written. */
  async finish(): Promise<void> {
    for (const line of this.#splitter.finish()) this.#add(line);
    await this.flush();
  }

  /** The last lines of this run of rouse, escaped, without times. */
  recent(): readonly string[] {
    return [...this.#recent];
  }

  /** The last lines, with their times, also of earlier runs. */
  async tail(lines: number): Promise<string[]> {
    return this.#inTurn(async () => {
      await this.#append(this.#takePending());
      return this.#readTail(lines);
    });
  }

  /** The last lines, then, without gap or double, all that come, until the signal. */
  async *follow(signal: AbortSignal, tailLines = 0): AsyncGenerator<string, void, undefined> {
    const queue = new LineQueue(FOLLOWER_LENGTH);
    signal.addEventListener('abort', queue.end, { once: true });
    if (signal.aborted) queue.end();
    try {
      yield* await this.#inTurn(async () => {
        // In one step: what comes later goes to the queue and isn't in the file that is read next.
        const pending = this.#takePending();
        this.#followers.add(queue.add);
        await this.#append(pending);
        return this.#readTail(tailLines);
      });
      yield* queue.lines();
    } finally {
      signal.removeEventListener('abort', queue.end);
      this.#followers.delete(queue.add);
    }
  }

  /** Writes what is waiting; never throws. */
  async flush(): Promise<void> {
    await this.#inTurn(() => this.#append(this.#takePending()));
  }

  #add(text: string): void {
    const line = printable(text);
    this.#recent = [...this.#recent.slice(1 - RECENT_LINES), line];
    this.#onLine(line);
    if (this.#pendingLength >= 2 * PENDING_LENGTH) {
      this.#omitted += 1;
      return;
    }
    this.#queue(line);
  }

  #queue(line: string): void {
    const dated = `${this.#now().toISOString()} ${line}`;
    for (const add of this.#followers) add(dated);
    this.#enqueue(dated);
  }

  #enqueue(dated: string): void {
    this.#pending.push(dated);
    this.#pendingLength += dated.length;
    this.#timer ??= setTimeout(() => this.#flushWhenOpen(), FLUSH_MS);
  }

  #flushWhenOpen(): void {
    if (this.#underway.isClosed) this.#timer = setTimeout(() => this.#flushWhenOpen(), FLUSH_MS);
    else void this.flush();
  }

  #takePending(): string[] {
    if (this.#omitted > 0) this.#queue(`(${this.#omitted} lines left out)`);
    if (this.#timer !== null) clearTimeout(this.#timer);
    const lines = this.#pending;
    this.#timer = null;
    this.#pending = [];
    this.#pendingLength = 0;
    this.#omitted = 0;
    return lines;
  }

  async #append(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    try {
      await this.#file.append(lines);
      this.#isFailing = false;
    } catch (error) {
      this.#reportOnce(error);
    }
  }

  async #readTail(lines: number): Promise<string[]> {
    if (lines <= 0) return [];
    try {
      return (await this.#file.read()).slice(-lines);
    } catch (error) {
      this.#reportOnce(error);
      return this.#recent.slice(-lines);
    }
  }

  #reportOnce(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    const what = `service ${this.#name}: cannot keep what it prints: ${messageOf(error)}`;
    this.#onError(`${what}; it runs on, and what it prints is lost until this works again`);
  }

  /** Reads and writes of the file happen one after the other. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#underway.track(this.#work.then(task));
    this.#work = result.then(
      () => {},
      () => {},
    );
    return result;
  }
}
