import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, RouseError } from '../base/errors.js';
import type { RouseOptions } from './library.js';
import type { LibraryPlace } from './library-place.js';
import { READY_LINE, readFailure } from './parent-pipes.js';

const READY_FD = 3;
const PARENT_FD = 4;
/** What is kept of the log for the error of a start that fails. */
const KEPT_LINES = 50;
const MAX_LINE_LENGTH = 4096;

/** What a supervisor of ours must not take for its own: the caller's systemd is the caller's. */
const FOREIGN_VARIABLES = [
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
  'ROUSE_ROOTLESS_UID',
  'ROUSE_RUN_DIRECTORY',
];

/** The supervisor as a child process: it ends when its parent does, however that ends. */
export class LibraryChild {
  /** Resolves when every listener takes connections; rejects when the child ends before. */
  readonly started: Promise<void>;
  /** Resolves when the child has ended, with an error that tells how. */
  readonly ended: Promise<RouseError>;
  readonly #process: ChildProcess;
  readonly #lastLines: string[] = [];
  #failure: ErrorCode = 'system';

  constructor(place: LibraryPlace, options: RouseOptions) {
    this.#process = spawn(process.execPath, childArguments(place, options), {
      env: childEnvironment(options),
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    });
    this.#readFailure(this.#process.stdio[PARENT_FD] as Readable);
    this.#collectLog(options.onLog ?? (() => {}));
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) =>
        resolve(new RouseError('system', `cannot run ${process.execPath}: ${error.message}`)),
      );
      this.#process.once('close', (code, signal) => resolve(this.#describeEnd(code, signal)));
    });
    this.started = Promise.race([
      waitForReady(this.#process.stdio[READY_FD] as Readable),
      this.ended.then((error) => Promise.reject(error)),
    ]);
    this.started.catch(() => {});
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Asks it to stop, again after `patienceMs`, kills it after as long again; resolves when it has ended. */
  async stop(patienceMs = 5000): Promise<void> {
    this.#process.kill('SIGTERM');
    const timers = [
      setTimeout(() => this.#process.kill('SIGTERM'), patienceMs),
      setTimeout(() => this.#process.kill('SIGKILL'), 2 * patienceMs),
    ];
    await this.ended;
    for (const timer of timers) clearTimeout(timer);
  }

  #collectLog(onLog: (line: string) => void): void {
    const lines = createInterface({ input: this.#process.stderr as Readable });
    lines.on('line', (line) => {
      this.#lastLines.push(line.slice(0, MAX_LINE_LENGTH));
      if (this.#lastLines.length > KEPT_LINES) this.#lastLines.shift();
      onLog(line);
    });
  }

  #readFailure(socket: Readable): void {
    let text = '';
    socket.on('error', () => {});
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      this.#failure = readFailure(text) ?? this.#failure;
    });
  }

  #describeEnd(code: number | null, signal: string | null): RouseError {
    const how = signal ? `was killed by ${signal}` : `ended with exit code ${code}`;
    const output = this.#lastLines.map((line) => line.replace(/^rouse: /, '')).join('\n');
    return new RouseError(this.#failure, `rouse ${how}${output ? `:\n${output}` : ''}`);
  }
}

function childArguments(place: LibraryPlace, { logLevel }: RouseOptions): string[] {
  return [
    programPath(),
    'serve',
    ...place.configArguments,
    ...['--runtime-dir', place.runtimeDir, '--state-dir', place.stateDir],
    ...['--log-format', 'json', ...(logLevel ? ['--log-level', logLevel] : [])],
    ...['--ready-fd', String(READY_FD), '--parent-fd', String(PARENT_FD)],
    ...['--scratch', place.scratchDir],
  ];
}

/** Beside this file; where this is the source, in what was built from it. */
function programPath(): string {
  const beside = fileURLToPath(new URL('./main.js', import.meta.url));
  return existsSync(beside)
    ? beside
    : fileURLToPath(new URL('../../dist/app/main.js', import.meta.url));
}

function childEnvironment({ env }: RouseOptions): NodeJS.ProcessEnv {
  const inherited = { ...process.env };
  for (const name of FOREIGN_VARIABLES) delete inherited[name];
  return { ...inherited, ...env };
}

/** Never resolves when the child fails before: its end follows. */
function waitForReady(pipe: Readable): Promise<void> {
  return new Promise((resolve) => {
    let text = '';
    pipe.on('error', () => {});
    pipe.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes(READY_LINE)) resolve();
    });
  });
}
