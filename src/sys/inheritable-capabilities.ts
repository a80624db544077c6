import { checked, NativeMemory, syscall } from './libc.js';

const isArm = process.arch === 'arm64';
const SYS_CAPGET = isArm ? 90 : 125;
const SYS_CAPSET = isArm ? 91 : 126;
/** _LINUX_CAPABILITY_VERSION_3: three words (effective, permitted, inheritable), twice (capget(2)). */
const VERSION = 0x20080522;
const WORDS = 6;
const INHERITABLE = [2, 5];

/**
 * Empties the calling thread's inheritable set, for all that it will start: service managers in
 * containers leave one full (capabilities(7)). Throws a `SystemError`.
 */
export function clearInheritable(): void {
  const header = new NativeMemory(8);
  const sets = new NativeMemory(4 * WORDS);
  try {
    header.bytes.writeUInt32LE(VERSION, 0);
    checked(Number(syscall(SYS_CAPGET, header.address, sets.address, 0, 0)), 'read capabilities');
    for (const word of INHERITABLE) sets.bytes.writeUInt32LE(0, 4 * word);
    checked(Number(syscall(SYS_CAPSET, header.address, sets.address, 0, 0)), 'drop capabilities');
  } finally {
    header.release();
    sets.release();
  }
}
