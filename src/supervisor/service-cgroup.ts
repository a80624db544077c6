import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Service } from '../config/model.js';
import { Cgroup } from '../sys/cgroups.js';
import { runsAt } from '../sys/processes.js';

/** What of a service's limits cgroups hold; null: no limit. */
export type CgroupLimits = Service['resources'] & { readonly cpus: readonly number[] };

const CPU_PERIOD_US = 100_000;
/** memory.high lies below memory.max by this factor, so that reclaim comes before the kill. */
const HIGH_SHARE = 0.9;
/** Freezing takes some 30 us, more where a process is in the middle of a system call: it isn't waited for long. */
const FREEZE_LOOKS = 20;
const RECLAIM_STEP_BYTES = 16 * 1024 * 1024;
/** bubblewrap twice, and what it holds: they are not the service's. */
const HOLDER_TASKS = 3;
/** Passes in which processes that were born outside are brought in; who is faster than that means harm. */
const SWEEPS = 20;

/**
 * Moving a process waits for a grace period of the kernel (some 10 ms), several in a row cost one:
 * so they are moved off the main thread, one after another.
 */
let moves: Promise<unknown> = Promise.resolve();

/** Where to look for what a launched process has forked. */
export interface Surroundings {
  /** The process, its descendants, and those that lost their parents: soon listed. */
  readonly near: () => number[];
  /** All of the VPS, without the holder's. */
  readonly all: () => number[];
  /** Whether all of them, by their /proc directories, are inside: nothing hides from that by changing its parent. */
  readonly isWhole: (isInside: (procDirectory: string) => boolean) => boolean;
}

/** What an upgraded supervisor goes on with. */
export interface ServiceCgroupState {
  readonly directory: string;
  readonly isFrozen: boolean;
  readonly oomKills: number;
}

/**
 * The cgroup of one incarnation: its holder is in it, its processes are in a child, whose emptiness
 * tells that they have ended. Limits and freezing hold for both.
 */
export class ServiceCgroup {
  readonly #run: Cgroup;
  readonly #suffix: string;
  #isFrozen = false;
  #oomKills = 0;

  constructor(private readonly group: Cgroup) {
    this.#suffix = `/${basename(group.directory)}/run`;
    this.#run = group.child('run');
  }

  static restore({ directory, isFrozen, oomKills }: ServiceCgroupState): ServiceCgroup {
    const cgroup = new ServiceCgroup(new Cgroup(directory));
    cgroup.#isFrozen = isFrozen;
    cgroup.#oomKills = oomKills;
    return cgroup;
  }

  state(): ServiceCgroupState {
    return { directory: this.directory, isFrozen: this.#isFrozen, oomKills: this.#oomKills };
  }

  /** Out here; bound into the VPS, where programs look for their limits. */
  get directory(): string {
    return this.group.directory;
  }

  /** Where the holder is born. */
  get holderProcs(): string {
    return `${this.group.directory}/cgroup.procs`;
  }

  /** Writes limits; a null takes one away. Throws Node's error where the kernel refuses. */
  limit({ memoryBytes, cpuPercent, tasks, ioWeight, cpus }: Partial<CgroupLimits>): void {
    if (memoryBytes !== undefined) {
      this.group.write(
        'memory.high',
        memoryBytes === null ? 'max' : `${Math.floor(memoryBytes * HIGH_SHARE)}`,
      );
      this.group.write('memory.max', memoryBytes === null ? 'max' : `${memoryBytes}`);
    }
    if (cpuPercent !== undefined) {
      const quota = cpuPercent === null ? 'max' : `${cpuPercent * (CPU_PERIOD_US / 100)}`;
      this.group.write('cpu.max', `${quota} ${CPU_PERIOD_US}`);
    }
    if (tasks !== undefined)
      this.group.write('pids.max', tasks === null ? 'max' : `${tasks + HOLDER_TASKS}`);
    if (ioWeight !== undefined) this.group.write('io.weight', `default ${ioWeight ?? 100}`);
    if (cpus !== undefined) this.group.write('cpuset.cpus', cpus.join(','));
  }

  /** Its processes, without the holder's. */
  processes(): number[] {
    return this.#run.processes();
  }

  /** False where the kernel can't: then signals must do. */
  freeze(): boolean {
    this.#isFrozen = this.group.tryWrite('cgroup.freeze', '1');
    for (let look = 0; this.#isFrozen && look < FREEZE_LOOKS; look += 1) {
      if (this.group.readKey('cgroup.events', 'frozen') === 1) break;
    }
    return this.#isFrozen;
  }

  /** False where it wasn't frozen. */
  thaw(): boolean {
    if (!this.#isFrozen) return false;
    this.#isFrozen = false;
    return this.group.tryWrite('cgroup.freeze', '0');
  }

  /** Pushes a frozen service's memory out to swap and files, step by step until it is thawed or no more goes. */
  async reclaim(): Promise<void> {
    while (this.#isFrozen) {
      const before = Number(this.group.read('memory.current'));
      await this.group.writeLater('memory.reclaim', `${RECLAIM_STEP_BYTES}`).catch(() => {});
      if (!(Number(this.group.read('memory.current')) < before)) return;
    }
  }

  /** SIGKILL to all in it, the holder included. */
  kill(): void {
    this.group.tryWrite('cgroup.kill', '1');
  }

  /** Calls back when its processes may all have ended; the function returned ends that. */
  onEmpty(callback: () => void): () => void {
    return this.#run.watchEvents('cgroup.events', () => {
      if (!this.#run.isPopulated) callback();
    });
  }

  /** Calls back when the kernel has killed a process in it for want of memory; the function returned ends that. */
  onOutOfMemory(callback: () => void): () => void {
    return this.group.watchEvents('memory.events', () => {
      if (this.#takeOomKills() > 0) callback();
    });
  }

  /** How many processes the kernel has killed for want of memory since the last look. */
  #takeOomKills(): number {
    const total = this.group.readKey('memory.events', 'oom_kill') ?? 0;
    const fresh = total - this.#oomKills;
    this.#oomKills = total;
    return fresh;
  }

  /**
   * Brings in a process that was just launched, and what it has forked meanwhile. Rejects where that
   * multiplies faster.
   */
  async bringIn(launched: number, { near, all, isWhole }: Surroundings): Promise<void> {
    await nextTurn();
    let hasForked = false;
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
      const outside = this.#outsiders(hasForked ? all() : near());
      for (const pid of outside) await this.#move(pid);
      hasForked ||= outside.some((pid) => pid !== launched);
      if (outside.length === 0 && (!hasForked || isWhole((path) => this.#isInside(path)))) return;
    }
    throw new Error('its processes fork faster than they can be put into their cgroup');
  }

  #outsiders(pids: readonly number[]): number[] {
    const own = new Set(this.processes());
    return pids.filter((pid) => !own.has(pid) && runsAt(`/proc/${pid}`));
  }

  #isInside(procDirectory: string): boolean {
    try {
      const path = readFileSync(`${procDirectory}/cgroup`, 'utf8')
        .trimEnd()
        .split('\n')
        .find((line) => line.startsWith('0::'));
      // What ended before it was brought in stays outside until it is reaped.
      return (path?.endsWith(this.#suffix) ?? true) || !runsAt(procDirectory);
    } catch {
      return true;
    }
  }

  #move(pid: number): Promise<void> {
    const moved = moves.then(() => this.#run.writeLater('cgroup.procs', `${pid}`)).catch(() => {});
    moves = moved;
    return moved;
  }

  remove(): Promise<boolean> {
    return this.group.remove();
  }
}
