import { fstatSync, readFileSync, writeSync } from 'node:fs';
import {
  checked,
  close,
  F_DUPFD_CLOEXEC,
  F_GETFL,
  F_SETFL,
  fcntl,
  flock,
  memfdCreate,
  NativeMemory,
  O_CLOEXEC,
  O_NONBLOCK,
  pipe2,
  SYS,
  syscall,
} from './libc.js';

const CLOSE_RANGE_CLOEXEC = 4;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE. */
const ALL_SEALS = 15;
const LOCK_EX_NB = 2 | 4;

/** close(2). An error is ignored: the descriptor is gone either way. */
export function closeFd(fd: number): void {
  close(fd);
}

/** A second descriptor for the same file, close-on-exec, numbered `from` or higher. */
export function duplicateFd(fd: number, from = 3): number {
  return checked(fcntl(fd, F_DUPFD_CLOEXEC, from), `duplicate descriptor ${fd}`);
}

/** Sets or clears O_NONBLOCK; it belongs to the open file, so every holder of it sees the change. */
export function setNonBlocking(fd: number, on: boolean): void {
  const flags = checked(fcntl(fd, F_GETFL, 0), `flags of descriptor ${fd}`);
  checked(
    fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK),
    `flags of descriptor ${fd}`,
  );
}

/** Marks every descriptor from `first` on close-on-exec (Linux 5.11), so that children get only what they are given. */
export function closeOnExecFrom(first: number): void {
  syscall(SYS.closeRange, first, 0xffffffff, CLOSE_RANGE_CLOEXEC, 0);
}

/** Takes an exclusive flock(2); false where somebody else has it. It ends with the process. */
export function tryLock(fd: number): boolean {
  return flock(fd, LOCK_EX_NB) === 0;
}

/** A pipe, both ends close-on-exec and blocking. */
export function createPipe(): { readFd: number; writeFd: number } {
  const memory = new NativeMemory(8);
  try {
    checked(pipe2(memory.address, O_CLOEXEC), 'pipe');
    return { readFd: memory.bytes.readInt32LE(0), writeFd: memory.bytes.readInt32LE(4) };
  } finally {
    memory.release();
  }
}

/** A memory file with this content: how what is larger than a packet travels over the control channel. */
export function createMemfd(name: string, content: string | Buffer): number {
  const fd = checked(memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create');
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  let written = 0;
  while (written < bytes.length)
    written += writeSync(fd, bytes, written, bytes.length - written, written);
  return fd;
}

/** As `createMemfd`, and nobody can change it any more (F_ADD_SEALS of fcntl(2)). Throws a `SystemError`. */
export function createSealedMemfd(name: string, content: Buffer): number {
  const fd = createMemfd(name, content);
  if (fcntl(fd, F_ADD_SEALS, ALL_SEALS) === 0) return fd;
  closeFd(fd);
  return checked(-1, 'seal a memory file');
}

/** As `readMemfd`, the bytes as they are, however many. */
export function readMemfdBytes(fd: number): Buffer {
  try {
    return readFileSync(`/proc/self/fd/${fd}`);
  } finally {
    closeFd(fd);
  }
}

/** Reads a memory file whole, wherever its offset stands, and closes it. Throws above `limitBytes`. */
export function readMemfd(fd: number, limitBytes: number): string {
  try {
    const { size } = fstatSync(fd);
    if (size > limitBytes) throw new Error(`memfd of ${size} bytes, more than ${limitBytes}`);
    return readFileSync(`/proc/self/fd/${fd}`, 'utf8');
  } finally {
    closeFd(fd);
  }
}
