import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const MICROSECONDS = 1_000_000;
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

// proc_pid_stat(5): the name in parentheses may hold anything; utime and stime are fields 14 and 15.
const UTIME_AFTER_NAME = 11;

/** CPU time, user and system, that a process with all its threads has used, in microseconds. */
function readCpuTime(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[UTIME_AFTER_NAME]) + Number(fields[UTIME_AFTER_NAME + 1]);
  return (ticks / ticksPerSecond) * MICROSECONDS;
}

/** CPU time of several processes together, in microseconds. */
export function sumCpuTime(pids) {
  return pids.reduce((total, pid) => total + readCpuTime(pid), 0);
}
