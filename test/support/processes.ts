import { readdirSync, readFileSync } from 'node:fs';

/** A process that can't be taken for a later one of the same pid. */
export interface SeenProcess {
  readonly pid: number;
  readonly parent: number;
  /** `R`, `S`, `T` (stopped), `Z` … of proc_pid_stat(5). */
  readonly state: string;
  /** In clock ticks since boot. */
  readonly startedAt: string;
  readonly name: string;
}

/** The process as it is now; null where there is none, or only its zombie. */
export function seeProcess(pid: number): SeenProcess | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const nameEnd = stat.lastIndexOf(')');
    const fields = stat.slice(nameEnd + 2).split(' ');
    const [state = '', parent = ''] = fields;
    if ('ZX'.includes(state)) return null;
    const name = stat.slice(stat.indexOf('(') + 1, nameEnd);
    return { pid, parent: Number(parent), state, startedAt: fields[19] ?? '', name };
  } catch {
    return null;
  }
}

/** Whether this very process still runs. */
export function isRunning({ pid, startedAt }: SeenProcess): boolean {
  return seeProcess(pid)?.startedAt === startedAt;
}

/** All that a process has started, and what that has started. */
export function listDescendants(ancestor: number): SeenProcess[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => seeProcess(Number(name)) ?? []);
  const below = (pid: number): SeenProcess[] =>
    all.filter(({ parent }) => parent === pid).flatMap((child) => [child, ...below(child.pid)]);
  return below(ancestor);
}

/** A line of /proc/PID/status, as `Uid` or `CapEff`. */
export function readStatusField(pid: number, field: string): string {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
}

/** Whether it stands still: stopped by a signal, or frozen with its cgroup (cgroups(7)). */
export function standsStill(pid: number): boolean {
  return seeProcess(pid)?.state === 'T' || readFrozen(pid);
}

function readFrozen(pid: number): boolean {
  try {
    const [, path = ''] = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? [];
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    const [, mount = ''] = /^(?:\S+ ){4}(\S+) .* - cgroup2 /m.exec(mounts) ?? [];
    return /^frozen 1$/m.test(readFileSync(`${mount}${path}/cgroup.events`, 'utf8'));
  } catch {
    return false;
  }
}
