import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Underway } from '../base/underway.js';
import { ChildProcessHandle, type ChildState, type ProcessExit } from '../sys/processes.js';
import { MemoryWatch } from './memory-watch.js';
import type { Vps } from './vps.js';

/** How often a VPS whose first process ended is looked at until its daemons end too, in milliseconds. */
const DAEMON_CHECK_FIRST_MS = 20;
const DAEMON_CHECK_MAX_MS = 1000;
const SIGKILL = 9;

export interface InstanceProcessesSettings {
  readonly vps: Vps;
  /** A process a connection: between two connections there is none, and that is no end. */
  readonly isStdio: boolean;
  readonly underway: Underway;
  /** What an administrator should know, in words. */
  readonly onTrouble: (message: string) => void;
  /** They multiply faster than they can be put into their cgroup. */
  readonly onRunaway: (error: unknown) => void;
  /** There is none any more, and there was one or an end was asked for. */
  readonly onGone: () => void;
}

/** What an upgraded supervisor goes on with. */
export interface ProcessesState {
  readonly children: readonly ChildState[];
  /** Its number, also when it has ended. */
  readonly first: ChildState | null;
  readonly lastExit: ProcessExit | null;
  readonly isOutOfMemory: boolean;
  readonly isEnding: boolean;
}

/** The processes of one incarnation: which were launched, how they ended, and when none is left. */
export class InstanceProcesses {
  readonly #children = new Set<ChildProcessHandle>();
  readonly #stopWatching: () => void;
  readonly #memory: MemoryWatch;
  #first: ChildProcessHandle | null = null;
  #lastExit: ProcessExit | null = null;
  /** Processes that may run already, and aren't known yet. */
  #launching = 0;
  #daemonCheck: NodeJS.Timeout | null = null;
  #isEnding = false;
  #isGone = false;
  #isOver = false;
  #isDisposed = false;

  constructor(
    private readonly settings: InstanceProcessesSettings,
    state: ProcessesState | null,
  ) {
    const { vps, onTrouble } = settings;
    this.#stopWatching = vps.cgroup?.onEmpty(() => this.#checkGoneUnlessIdle()) ?? (() => {});
    this.#memory = new MemoryWatch(vps.cgroup, state?.isOutOfMemory ?? false, onTrouble);
    if (state) this.#restore(state);
  }

  #restore({ children, first, lastExit, isEnding }: ProcessesState): void {
    this.#lastExit = lastExit;
    this.#isEnding = isEnding;
    for (const child of children) this.#follow(new ChildProcessHandle(child));
    this.#first =
      this.find(first?.pid) ?? (first && new ChildProcessHandle({ ...first, pidFd: null }));
    // What ended while nobody looked is found now.
    this.#checkGoneUnlessIdle();
  }

  state(): ProcessesState {
    return {
      children: [...this.#children].map((child) => child.state()),
      first: this.#first?.state() ?? null,
      lastExit: this.#lastExit,
      isOutOfMemory: this.#memory.isOutOfMemory,
      isEnding: this.#isEnding,
    };
  }

  /** Of those that haven't ended. */
  find(pid: number | undefined): ChildProcessHandle | null {
    return [...this.#children].find((child) => child.pid === pid) ?? null;
  }

  /** Of the first that was launched. */
  get pid(): number | null {
    return this.#first?.pid ?? null;
  }

  /** How the first one ended; of a `stdio` service: the last one. */
  get lastExit(): ProcessExit | null {
    return this.#lastExit;
  }

  /** Those that were launched and haven't ended, and those that are being launched. */
  get count(): number {
    return this.#children.size + this.#launching;
  }

  /** Whether it was told that there are none any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Of those that were launched. */
  readonly pids = (): number[] => [...this.#children].map(({ pid }) => pid);

  get #isAlive(): boolean {
    if (this.#isGone || this.#isDisposed) return false;
    return this.count > 0 || this.settings.vps.isPopulated(this.pids());
  }

  /** Launches one by `launch`, and follows it. */
  add(launch: () => Promise<ChildProcessHandle>): Promise<ChildProcessHandle> {
    return this.settings.underway.track(this.#add(launch));
  }

  async #add(launch: () => Promise<ChildProcessHandle>): Promise<ChildProcessHandle> {
    this.#launching += 1;
    let child: ChildProcessHandle;
    try {
      child = await launch();
    } finally {
      this.#launching -= 1;
      if (this.#isEnding) setImmediate(() => this.#checkGoneUnlessIdle());
    }
    this.#follow(child);
    this.#first ??= child;
    const { onRunaway, underway, vps } = this.settings;
    underway.track(vps.adopt(child.pid, this.pids, () => this.#launching > 0)).catch(onRunaway);
    if (this.#isDisposed) child.signal(SIGKILL);
    return child;
  }

  #follow(child: ChildProcessHandle): void {
    this.#children.add(child);
    void child.exited.then((exit) => this.#onExit(child, exit));
  }

  #onExit(child: ChildProcessHandle, exit: ProcessExit): void {
    this.#children.delete(child);
    if (child === this.#first || this.settings.isStdio) this.#lastExit = this.#memory.explain(exit);
    this.#checkGoneUnlessIdle();
  }

  #checkGoneUnlessIdle(): void {
    if (!this.settings.isStdio || this.#isEnding) this.#checkGone(DAEMON_CHECK_FIRST_MS);
  }

  /** From now on having none is an end. */
  startEnding(): void {
    this.#isEnding = true;
  }

  /** An end was asked for: looks whether it has come. */
  check(): void {
    this.#checkGone(DAEMON_CHECK_FIRST_MS);
  }

  /** A server may have become a daemon: alive means that its VPS has processes. */
  #checkGone(nextCheckMs: number): void {
    if (this.#daemonCheck) clearTimeout(this.#daemonCheck);
    this.#daemonCheck = null;
    if (this.#isDisposed || this.#isGone) return;
    if (this.#isAlive) {
      const laterMs = Math.min(DAEMON_CHECK_MAX_MS, nextCheckMs * 2);
      this.#daemonCheck = setTimeout(() => this.#checkGone(laterMs), nextCheckMs);
      return;
    }
    this.#isGone = true;
    void this.settings.underway.track(this.#tellGone());
  }

  /** Two turns of the loop: what it printed last is read before its end is told. */
  async #tellGone(): Promise<void> {
    await nextTurn();
    await nextTurn();
    this.#isOver = true;
    this.settings.onGone();
  }

  /** Nothing of them is told any more. */
  dispose(): void {
    this.#isDisposed = true;
    if (this.#daemonCheck) clearTimeout(this.#daemonCheck);
    this.#stopWatching();
    this.#memory.close();
  }
}
