import { readFileSync } from 'node:fs';
import { NativeMemory, schedSetaffinity } from './libc.js';

const CPU_SET_BYTES = 512;

/** Every CPU that there can be. */
export const ALL_CPUS: readonly number[] = Array.from(
  { length: CPU_SET_BYTES * 8 },
  (_, cpu) => cpu,
);

/** The CPUs that this process may run on (proc_pid_status(5), Cpus_allowed_list). */
export function availableCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** The CPUs that a thread may run on, 0: the calling one. Returns what sched_setaffinity(2) does. */
export function setAffinity(tid: number, cpus: readonly number[]): number {
  const mask = new NativeMemory(CPU_SET_BYTES);
  for (const cpu of cpus) {
    const byte = cpu >> 3;
    mask.bytes[byte] = (mask.bytes[byte] ?? 0) | (1 << (cpu & 7));
  }
  const result = schedSetaffinity(tid, CPU_SET_BYTES, mask.address);
  mask.release();
  return result;
}
