import { setPriority } from 'node:os';
import type { Vps } from './vps.js';

const SIGSTOP = 19;
const SIGCONT = 18;
const FREEZE_PASSES = 8;

/** Signals, freezing and thawing of all that a service has in its VPS. */
export class ProcessControl {
  constructor(
    private readonly vps: Vps,
    /** What the launcher put there. */
    private readonly started: () => readonly number[],
  ) {}

  /** As the host sees them. */
  pids(): number[] {
    return this.vps.processes(this.started());
  }

  signal(signal: number): void {
    for (const pid of this.pids()) sendSignal(pid, signal);
  }

  /** By its cgroup; where there is none by SIGSTOP to every process, until no new one shows up. */
  freeze(reclaim: boolean): void {
    const { cgroup } = this.vps;
    if (cgroup?.freeze()) {
      if (reclaim) void cgroup.reclaim();
      return;
    }
    const stopped = new Set<number>();
    for (let pass = 0; pass < FREEZE_PASSES; pass += 1) {
      const fresh = this.pids().filter((pid) => !stopped.has(pid));
      if (fresh.length === 0) return;
      for (const pid of fresh) {
        stopped.add(pid);
        sendSignal(pid, SIGSTOP);
      }
    }
  }

  thaw(): void {
    if (!this.vps.cgroup?.thaw()) this.signal(SIGCONT);
  }
}

/** Sets a process's nice value, setpriority(2); nothing where it has ended. */
export function renice(pid: number, nice: number): void {
  try {
    setPriority(pid, nice);
  } catch {
    // It has ended already.
  }
}

function sendSignal(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}
