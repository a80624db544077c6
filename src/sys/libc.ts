import { constants } from 'node:os';
import koffi from 'koffi';
import { RouseError } from '../base/errors.js';

/**
 * The C library's functions that Node doesn't offer, as they are in the manual pages (section 2 and
 * 3). Every call returns what C returns; `checked` turns -1 into an error with errno's name.
 */
const libc = koffi.load(null);

export const socket = libc.func('int socket(int, int, int)') as (
  domain: number,
  type: number,
  protocol: number,
) => number;
export const socketpair = libc.func('int socketpair(int, int, int, void *)');
export const bind = libc.func('int bind(int, void *, uint32_t)');
export const listen = libc.func('int listen(int, int)');
export const connect = libc.func('int connect(int, void *, uint32_t)');
export const getsockname = libc.func('int getsockname(int, void *, void *)');
export const getpeername = libc.func('int getpeername(int, void *, void *)');
export const getsockopt = libc.func('int getsockopt(int, int, int, void *, void *)');
export const setsockopt = libc.func('int setsockopt(int, int, int, void *, uint32_t)');
export const sendmsg = libc.func('long sendmsg(int, void *, int)');
export const recvmsg = libc.func('long recvmsg(int, void *, int)');
export const sendto = libc.func('long sendto(int, void *, size_t, int, void *, uint32_t)');
export const poll = libc.func('int poll(void *, ulong, int)') as (
  fds: bigint,
  count: number,
  timeoutMs: number,
) => number;
export const recv = libc.func('long recv(int, void *, size_t, int)');
export const pipe2 = libc.func('int pipe2(void *, int)');
export const close = libc.func('int close(int)') as (fd: number) => number;
export const fcntl = libc.func('int fcntl(int, int, long)') as (
  fd: number,
  command: number,
  argument: number,
) => number;
export const flock = libc.func('int flock(int, int)') as (fd: number, operation: number) => number;
export const memfdCreate = libc.func('int memfd_create(str, unsigned int)') as (
  name: string,
  flags: number,
) => number;
export const setns = libc.func('int setns(int, int)') as (fd: number, flags: number) => number;
export const unshare = libc.func('int unshare(int)') as (flags: number) => number;
export const umask = libc.func('uint32_t umask(uint32_t)') as (mask: number) => number;
export const schedSetaffinity = libc.func('int sched_setaffinity(int, size_t, void *)');
export const prctl = libc.func('int prctl(int, ulong, ulong, ulong, ulong)') as (
  option: number,
  a: number,
  b: number,
  c: number,
  d: number,
) => number;
export const waitpid = libc.func('int waitpid(int, void *, int)');
export const exitNow = libc.func('void _exit(int)') as unknown as (status: number) => never;
const calloc = libc.func('void *calloc(size_t, size_t)') as (
  count: number,
  bytes: number,
) => bigint;
const free = libc.func('void free(void *)') as (address: bigint) => void;

/** syscall(2) for what has no wrapper in every C library, or whose wrapper acts on all threads. */
export const syscall = libc.func('long syscall(long, long, long, long, long)') as (
  number: number,
  a: number | bigint,
  b: number | bigint,
  c: number | bigint,
  d: number | bigint,
) => number;

export { libc };

const isArm = process.arch === 'arm64';

/** Numbers of system calls; those from 424 on are the same everywhere. */
export const SYS = {
  setgroups: isArm ? 159 : 116,
  setresuid: isArm ? 147 : 117,
  setresgid: isArm ? 149 : 119,
  gettid: isArm ? 178 : 186,
  pidfdSendSignal: 424,
  pidfdOpen: 434,
  closeRange: 436,
  openat2: 437,
} as const;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const IPV6_V6ONLY = 26;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = 1030;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWCGROUP = 0x02000000;
export const CLONE_NEWUTS = 0x04000000;
export const CLONE_NEWIPC = 0x08000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
export const CLONE_FS = 0x00000200;

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** The name of an errno, as `EADDRINUSE`. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** Errno of the last call on this thread: read it at once. */
export function lastErrno(): number {
  return koffi.errno();
}

/** A failed system call: `errno` and its name, for those who handle one in particular. */
export class SystemError extends RouseError {
  constructor(
    what: string,
    readonly errno: number,
  ) {
    super('system', `${what}: ${errnoName(errno)}`);
  }

  get errnoName(): string {
    return errnoName(this.errno);
  }
}

/** Throws where the call failed; `what` is what was attempted, on what. */
export function checked(result: number, what: string): number {
  if (result < 0) throw new SystemError(what, koffi.errno());
  return result;
}

/** Memory outside the JavaScript heap: its address stays, and stays valid, until `release`. */
export class NativeMemory {
  readonly address: bigint;
  readonly bytes: Buffer;

  constructor(sizeBytes: number) {
    // Zeros, of which the kernel provides large pieces only as they are used.
    this.address = calloc(1, sizeBytes);
    if (!this.address) throw new RouseError('system', `calloc: no memory for ${sizeBytes} bytes`);
    this.bytes = Buffer.from(koffi.view(this.address, sizeBytes));
  }

  release(): void {
    free(this.address);
  }
}
