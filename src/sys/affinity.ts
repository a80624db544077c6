import { NativeMemory, schedSetaffinity } from './libc.js';

const CPU_SET_BYTES = 512;

/** Every CPU that there can be. */
export const ALL_CPUS: readonly number[] = Array.from(
  { length: CPU_SET_BYTES * 8 },
  (_, cpu) => cpu,
);

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
