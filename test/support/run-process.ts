import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { PATIENCE_MS } from './wait-for.js';

export interface ProcessOptions {
  readonly directory?: string;
  /** Added to the environment of the test. */
  readonly environment?: Readonly<Record<string, string>>;
  /** A process group of its own, so that `signalGroup` can do what Ctrl-C on a terminal does. */
  readonly ownGroup?: boolean;
  readonly input?: string;
  /** Descriptors of the test that it gets as 3, 4 and so on. */
  readonly inherited?: readonly number[];
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that a test started; disposing kills it (its group, where it has one of its own). */
export class TestProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #output = { stdout: '', stderr: '' };
  readonly #ownGroup: boolean;
  readonly #ended: Promise<ProcessEnd>;
  #isEnded = false;

  constructor(command: readonly string[], options: ProcessOptions = {}) {
    const [file = '', ...args] = command;
    this.#ownGroup = options.ownGroup ?? false;
    const input = options.input === undefined ? 'ignore' : 'pipe';
    this.#child = spawn(file, args, {
      cwd: options.directory,
      env: { ...process.env, ...options.environment },
      detached: this.#ownGroup,
      stdio: [input, 'pipe', 'pipe', ...(options.inherited ?? [])],
    });
    this.#child.stdin?.end(options.input);
    for (const name of ['stdout', 'stderr'] as const) {
      this.#child[name]?.setEncoding('utf8').on('data', (text: string) => {
        this.#output[name] += text;
        this.#child.emit('text');
      });
    }
    this.#ended = once(this.#child, 'close').then(([code, signal]) => {
      this.#isEnded = true;
      this.#child.emit('text');
      return { code, signal, ...this.#output };
    });
    this.#ended.catch(() => {});
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the process did not start');
    return this.#child.pid;
  }

  /** All that it printed so far, standard output first. */
  get output(): string {
    return this.#output.stdout + this.#output.stderr;
  }

  /** Resolves when both output streams are at their end; rejects when it could not be started. */
  get ended(): Promise<ProcessEnd> {
    return this.#ended;
  }

  /** Resolves with the first match in its output; rejects when it ends or `timeoutMs` pass without one. */
  async waitForOutput(pattern: RegExp, timeoutMs = PATIENCE_MS): Promise<RegExpMatchArray> {
    const expired = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const match = this.output.match(pattern);
      if (match !== null) return match;
      if (this.#isEnded || expired.aborted) {
        throw new Error(`no ${pattern} in the output:\n${this.output}`);
      }
      await once(this.#child, 'text', { signal: expired }).catch(() => {});
    }
  }

  /** The port of the line `listening on PORT`, as the fixtures print it. */
  async waitForPort(): Promise<number> {
    const [, port] = await this.waitForOutput(/listening on (\d+)/);
    return Number(port);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** What a terminal does on Ctrl-C (SIGINT); nothing when the group is gone. */
  signalGroup(name: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid === undefined) return;
    if (this.#ownGroup) this.signalGroup('SIGKILL');
    else this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Runs a command to its end. */
export function runToEnd(
  command: readonly string[],
  options?: ProcessOptions,
): Promise<ProcessEnd> {
  return new TestProcess(command, options).ended;
}
