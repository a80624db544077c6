import { Worker } from 'node:worker_threads';
import { RouseError } from '../base/errors.js';
import { setAffinity } from './affinity.js';
import { closeFd, duplicateFd } from './descriptors.js';
import type { LauncherData, LaunchRequest, LaunchResult } from './launch-request.js';
import { checked, errnoName } from './libc.js';
import { ChildProcessHandle } from './processes.js';
import { assembleFilter, type FilterKind } from './seccomp.js';

export interface LauncherOptions {
  /**
   * A process in whose namespaces the thread waits between requests; null: this one's, which an
   * ordinary user's rouse couldn't enter again.
   */
  readonly homePidfd: number | null;
  /** The system-call filter of all that it starts; null: none. */
  readonly filter: FilterKind | null;
}

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
  #previous: Promise<unknown> = Promise.resolve();

  private constructor(
    worker: Worker,
    private readonly tid: number,
    /** Its filter refuses to change affinities: those of new processes are set from here. */
    private readonly isPinned: boolean,
  ) {
    this.#worker = worker;
    worker.on('message', (result: LaunchResult) => this.#pending.shift()?.resolve(result));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => this.#fail(new Error(`the launcher thread ended with ${code}`)));
  }

  /** Rejects where the thread can't drop its privileges, or can't have the filter. */
  static async create({ homePidfd, filter }: LauncherOptions): Promise<Launcher> {
    const program = filter && assembleFilter(filter, process.arch);
    if (filter && !program) {
      throw new RouseError('isolation', `no system-call filter is written for ${process.arch}`);
    }
    const worker = new Worker(new URL('./launcher-thread.js', import.meta.url), {
      workerData: { homePidfd, filter: program } satisfies LauncherData,
      stdin: false,
      execArgv: [],
    });
    const tid = await new Promise<number>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    worker.unref();
    return new Launcher(worker, tid, filter === 'pinned');
  }

  /** Rejects with a `RouseError` of code `start` that says which step failed. */
  async launch(request: LaunchRequest): Promise<ChildProcessHandle> {
    const held = holdDescriptors(request);
    try {
      return await this.#enqueue(held.request);
    } finally {
      for (const fd of held.fds) closeFd(fd);
    }
  }

  #enqueue(request: LaunchRequest): Promise<ChildProcessHandle> {
    if (!this.isPinned) return this.#launch(request);
    const launched = this.#previous.then(() => {
      checked(setAffinity(this.tid, request.cpus), `run on CPUs ${request.cpus.join(', ')}`);
      return this.#launch({ ...request, cpus: [] });
    });
    this.#previous = launched.catch(() => {});
    return launched;
  }

  async #launch(request: LaunchRequest): Promise<ChildProcessHandle> {
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
    return ChildProcessHandle.of(result.pid);
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

/** Copies that are this request's own: it may wait, and the caller may close its descriptors meanwhile. */
function holdDescriptors(request: LaunchRequest): { request: LaunchRequest; fds: number[] } {
  const fds: number[] = [];
  const hold = (fd: number) => {
    const copy = duplicateFd(fd);
    fds.push(copy);
    return copy;
  };
  try {
    const vpsPidfd = request.vpsPidfd === null ? null : hold(request.vpsPidfd);
    const descriptors = request.descriptors.map(([from, to]) => [hold(from), to] as const);
    return { request: { ...request, vpsPidfd, descriptors }, fds };
  } catch (error) {
    for (const fd of fds) closeFd(fd);
    throw error;
  }
}
