import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Service } from '../config/model.js';
import { Cgroup } from '../sys/cgroups.js';
import { runsAt } from '../sys/processes.js';

/** What of a service's limits cgroups hold; null: no limit. */
export type CgroupLimits = Service['resources'] & { readonly cpus: readonly number[] };

const CPU_PERIOD_US = 100_000;
const DEFAULT_IO_WEIGHT = 100;
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
  readonly oom: OomCounts;
}

/** Of memory.events: processes killed for want of memory, and how often its own limit was in the way. */
interface OomCounts {
  readonly kills: number;
  readonly atLimit: number;
}

/**
 * The cgroup of one incarnation: its holder is in it, its processes are in a child, whose emptiness
 * tells that they have ended. Limits and freezing hold for both.
 */
export class ServiceCgroup {
  readonly #run: Cgroup;
  readonly #suffix: string;
  #isFrozen = false;
  #oom: OomCounts = { kills: 0, atLimit: 0 };

  constructor(private readonly group: Cgroup) {
    this.#suffix = `/${basename(group.directory)}/run`;
    this.#run = group.child('run');
  }

  static restore({ directory, isFrozen, oom }: ServiceCgroupState): ServiceCgroup {
    const cgroup = new ServiceCgroup(new Cgroup(directory));
    cgroup.#isFrozen = isFrozen;
    cgroup.#oom = oom;
    return cgroup;
  }

  state(): ServiceCgroupState {
    return { directory: this.directory, isFrozen: this.#isFrozen, oom: this.#oom };
  }

  /** Out here; bound into the VPS, where programs look for their limits. */
  get directory(): string {
    return this.group.directory;
  }

  /** Where the holder is born. */
  get holderProcs(): string {
    return `${this.group.directory}/cgroup.procs`;
  }

  /**
   * Writes limits; a null takes one away. Rejects with Node's error where the kernel refuses. A limit
   * below what is used makes the kernel reclaim first, which takes its time.
   */
  async limit(limits: Partial<CgroupLimits>): Promise<void> {
    for (const [file, value, isOptional] of limitFiles(limits))
      if (!isOptional || this.group.has(file)) await this.group.writeLater(file, value);
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

  /** Calls back when `takeOutOfMemory` may have something to tell; the function returned ends that. */
  onMemoryEvent(callback: () => void): () => void {
    return this.group.watchEvents('memory.events', callback);
  }

  /** What was used up when the kernel killed a process in it for want of memory; null: nothing since the last look. */
  takeOutOfMemory(): 'resources.memory' | "the machine's memory" | null {
    const before = this.#oom;
    const now = this.#readOom();
    if (now.kills === before.kills) return null;
    this.#oom = now;
    return now.atLimit > before.atLimit ? 'resources.memory' : "the machine's memory";
  }

  #readOom(): OomCounts {
    const count = (key: string) => this.group.readKey('memory.events', key) ?? 0;
    return { kills: count('oom_kill'), atLimit: count('oom') };
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

type LimitFile = [name: string, value: string, isOptional?: boolean];

/** The files of a cgroup that hold limits (Linux's admin-guide/cgroup-v2), and what to write there. */
function limitFiles(limits: Partial<CgroupLimits>): LimitFile[] {
  const { memoryBytes, cpuPercent, tasks, ioWeight, cpus } = limits;
  const files: LimitFile[] = [];
  if (memoryBytes !== undefined) {
    // First, or what a lower limit pushes out would stay above it. Not memory.high: a service that
    // wants too much would stand nearly still for minutes.
    files.push(['memory.swap.max', orMax(memoryBytes), true]);
    files.push(['memory.max', orMax(memoryBytes)]);
  }
  if (cpuPercent !== undefined) {
    const quota = orMax(cpuPercent && cpuPercent * (CPU_PERIOD_US / 100));
    files.push(['cpu.max', `${quota} ${CPU_PERIOD_US}`]);
  }
  if (tasks !== undefined) files.push(['pids.max', orMax(tasks && tasks + HOLDER_TASKS)]);
  if (ioWeight !== undefined) {
    const weight = ioWeight ?? DEFAULT_IO_WEIGHT;
    files.push(['io.weight', `default ${weight}`, true]);
    files.push(['io.bfq.weight', `${bfqWeight(weight)}`, true]);
  }
  if (cpus !== undefined) files.push(['cpuset.cpus', cpus.join(',')]);
  return files;
}

/** bfq's weights end at 1000; 100 is everybody's default (as systemd does it). */
function bfqWeight(weight: number): number {
  const above = weight - DEFAULT_IO_WEIGHT;
  return above <= 0 ? weight : DEFAULT_IO_WEIGHT + Math.round((above * 900) / 9900);
}

function orMax(limit: number | null): string {
  return limit === null ? 'max' : `${limit}`;
}
