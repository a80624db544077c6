import { Worker } from 'node:worker_threads';
import { RouseError } from '../base/errors.js';
import type { LaunchRequest, LaunchResult } from './launch-request.js';
import { errnoName } from './libc.js';
import { ChildProcessHandle, openPidfd } from './processes.js';

interface Pending {
  readonly resolve: (result: LaunchResult) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Starts processes in VPSs: a thread of its own, which enters the namespaces, takes the identity,
 * spawns, and comes back. One request after another.
 */
export class Launcher {
  readonly #worker: Worker;
  readonly #pending: Pending[] = [];
  #failure: Error | null = null;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (result: LaunchResult) => this.#pending.shift()?.resolve(result));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => this.#fail(new Error(`the launcher thread ended with ${code}`)));
  }

  /**
   * `homePidfd`: a process in whose namespaces the thread waits between requests; null: this one's,
   * which an ordinary user's rouse couldn't enter again. Rejects where the thread can't drop its
   * privileges.
   */
  static async create(homePidfd: number | null = null): Promise<Launcher> {
    const worker = new Worker(new URL('./launcher-thread.js', import.meta.url), {
      workerData: homePidfd,
      stdin: false,
      execArgv: [],
    });
    await new Promise<void>((resolve, reject) => {
      worker.once('message', () => resolve());
      worker.once('error', reject);
    });
    worker.unref();
    return new Launcher(worker);
  }

  /** Rejects with a `RouseError` of code `start` that says which step failed. */
  async launch(request: LaunchRequest): Promise<ChildProcessHandle> {
    if (this.#failure) throw this.#failure;
    const result = await new Promise<LaunchResult>((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage(request);
    });
    if (this.#pending.length === 0) this.#worker.unref();
    if ('errno' in result) {
      throw new RouseError('start', `${result.step}: ${errnoName(result.errno)}`);
    }
    return new ChildProcessHandle(result.pid, openPidfd(result.pid));
  }

  async close(): Promise<void> {
    this.#failure ??= new RouseError('start', 'the launcher is closed');
    await this.#worker.terminate();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}
