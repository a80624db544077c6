import { lastErrno, libc, NativeMemory } from './libc.js';

const prlimit = libc.func('int prlimit64(int, int, void *, void *)');
const RLIMIT_NPROC = 6;
const ESRCH = 3;
const UNLIMITED = 0xffffffffffffffffn;
const memory = new NativeMemory(16);

/**
 * Changes how many processes and threads a process's user may have, for its forks (prlimit(2)). False:
 * the kernel refuses; for another user's process it wants CAP_SYS_RESOURCE.
 */
export function setProcessLimit(pid: number, tasks: number | null): boolean {
  const value = tasks === null ? UNLIMITED : BigInt(tasks);
  memory.bytes.writeBigUInt64LE(value, 0);
  memory.bytes.writeBigUInt64LE(value, 8);
  return prlimit(pid, RLIMIT_NPROC, memory.address, null) === 0 || lastErrno() === ESRCH;
}
