import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const MICROSECONDS = 1_000_000;
const NANOSECONDS = 1000;
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

// proc_pid_stat(5): the name in parentheses may hold anything; cutime and cstime are fields 16 and 17.
const CUTIME_AFTER_NAME = 13;

/** What `read` finds out about a process or thread; 0 once that is gone. */
function readIfThere(read) {
  try {
    return read();
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return 0;
    throw error;
  }
}

/** CPU time of a thread so far: the first field of schedstat, in nanoseconds. */
function readThread(pid, tid) {
  const [ns = '0'] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ');
  return Number(ns) / NANOSECONDS;
}

function readThreads(pid) {
  return readdirSync(`/proc/${pid}/task`).reduce(
    (total, tid) => total + readIfThere(() => readThread(pid, tid)),
    0,
  );
}

/** CPU time of children that have ended and were waited for; the kernel counts it in ticks. */
function readEndedChildren(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[CUTIME_AFTER_NAME]) + Number(fields[CUTIME_AFTER_NAME + 1]);
  return (ticks / ticksPerSecond) * MICROSECONDS;
}

/**
 * CPU time, user and system, of processes with all their threads and the children that they waited
 * for, in microseconds.
 */
export function sumCpuTime(pids) {
  const read = (pid) => readIfThere(() => readThreads(pid) + readEndedChildren(pid));
  return pids.reduce((total, pid) => total + read(pid), 0);
}
