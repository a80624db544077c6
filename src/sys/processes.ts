import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { closeFd } from './descriptors.js';
import { checked, lastErrno, NativeMemory, SYS, syscall, waitpid } from './libc.js';
import { watchFd } from './poller.js';

const ESRCH = 3;
const WNOHANG = 1;
const status = new NativeMemory(8);
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
);

/** A pidfd (pidfd_open(2), Linux 5.3), close-on-exec. Throws a `SystemError`, ESRCH where there is no such process. */
export function openPidfd(pid: number): number {
  return checked(syscall(SYS.pidfdOpen, pid, 0, 0, 0), `pidfd of process ${pid}`);
}

/** Sends a signal by pidfd: never to another process that got the same pid. False: the process has ended. */
export function signalPidfd(pidfd: number, signal: number): boolean {
  if (syscall(SYS.pidfdSendSignal, pidfd, signal, 0, 0) === 0) return true;
  if (lastErrno() === ESRCH) return false;
  return checked(-1, `signal ${signal}`) === 0;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why the signal came, where that is known. */
  readonly cause?: string;
}

const UNKNOWN_EXIT: ProcessExit = { code: null, signal: null };

/** A child as the same process knows it after an exec; null: it has ended. */
export interface ChildState {
  readonly pid: number;
  readonly pidFd: number | null;
}

/** A child of this process that libuv doesn't know: its pidfd, its one end. */
export class ChildProcessHandle {
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  #pidFd: number | null;

  constructor({ pid, pidFd }: ChildState) {
    this.pid = pid;
    this.#pidFd = pidFd;
    this.exited = pidFd === null ? Promise.resolve(UNKNOWN_EXIT) : this.#untilExit(pidFd);
  }

  #untilExit(pidFd: number): Promise<ProcessExit> {
    return new Promise((resolve) => {
      const watch = watchFd(pidFd, { read: true }, () => {
        const exit = reap(this.pid);
        if (!exit) return;
        this.#pidFd = null;
        watch.close();
        closeFd(pidFd);
        resolve(exit);
      });
    });
  }

  /** Of a child that was just started. Without a pidfd nobody could follow it: then it is ended. Throws a `SystemError`. */
  static of(pid: number): ChildProcessHandle {
    try {
      return new ChildProcessHandle({ pid, pidFd: openPidfd(pid) });
    } catch (error) {
      process.kill(pid, 'SIGKILL');
      throw error;
    }
  }

  state(): ChildState {
    return { pid: this.pid, pidFd: this.#pidFd };
  }

  /** False where it has ended. */
  signal(signal: number): boolean {
    return this.#pidFd !== null && signalPidfd(this.#pidFd, signal);
  }
}

function reap(pid: number): ProcessExit | null {
  const result = waitpid(pid, status.address, WNOHANG);
  if (result === 0) return null;
  if (result < 0) return UNKNOWN_EXIT;
  const word = status.bytes.readInt32LE(0);
  const signal = word & 0x7f;
  if (signal === 0) return { code: (word >> 8) & 0xff, signal: null };
  return { code: null, signal: SIGNAL_NAMES.get(signal) ?? `signal ${signal}` };
}

/** Number of a signal's name, `SIGTERM` or `TERM`; null where there is none. */
export function signalNumber(name: string): number | null {
  const full = name.startsWith('SIG') ? name : `SIG${name}`;
  return (constants.signals as Record<string, number>)[full] ?? null;
}

/** All descendants of these processes as the host sees them, these included (proc_pid_children, Linux 3.5). */
export function descendantsOf(roots: readonly number[]): number[] {
  const found = new Set<number>();
  const queue = [...roots];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    if (found.has(pid)) continue;
    found.add(pid);
    queue.push(...childrenOf(pid));
  }
  return [...found];
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
      const text = readFileSync(`/proc/${pid}/task/${tid}/children`, 'utf8').trim();
      return text === '' ? [] : text.split(' ').map(Number);
    });
  } catch {
    return [];
  }
}

/** Of proc_pid_stat(5) after the name: state, and flags; PF_EXITING stands in Linux's sched.h. */
const FLAGS_AFTER_NAME = 6;
const PF_EXITING = 4;

/**
 * Whether a process, by its /proc directory, runs: a thread of it does that isn't on its way out.
 * Such a one forks no more, and the kernel moves it to no other cgroup.
 */
export function runsAt(procDirectory: string): boolean {
  if (threadRunsAt(procDirectory)) return true;
  try {
    // The first thread may end before the others.
    const threads = readdirSync(`${procDirectory}/task`);
    return threads.some((tid) => threadRunsAt(`${procDirectory}/task/${tid}`));
  } catch {
    return false;
  }
}

function threadRunsAt(directory: string): boolean {
  try {
    const stat = readFileSync(`${directory}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const isExiting = (Number(fields[FLAGS_AFTER_NAME]) & PF_EXITING) !== 0;
    return !isExiting && !'ZX'.includes(fields[0] ?? 'X');
  } catch {
    return false;
  }
}
