import { closeSync, constants, openSync } from 'node:fs';
import { closeFd } from './descriptors.js';
import { checked, exitNow, NativeMemory, SYS, syscall } from './libc.js';
import { createStreamSocket, startConnect } from './sockets.js';

const RESOLVE_IN_ROOT = 0x10;
const RESOLVE_NO_MAGICLINKS = 0x02;
const O_PATH = 0o10000000;

/**
 * Runs `act` with this thread's effective ids changed (raw calls: other threads keep theirs).
 * Synchronous. A thread that can't become root again ends the process.
 */
function asIdentity<T>(identity: { uid: number; gid: number } | null, act: () => T): T {
  if (!identity) return act();
  checked(syscall(SYS.setresgid, -1, identity.gid, -1, 0), `become group ${identity.gid}`);
  const uidSet = syscall(SYS.setresuid, -1, identity.uid, -1, 0);
  try {
    checked(uidSet, `become user ${identity.uid}`);
    return act();
  } finally {
    if (uidSet === 0 && syscall(SYS.setresuid, -1, 0, -1, 0) < 0) exitNow(70);
    if (syscall(SYS.setresgid, -1, 0, -1, 0) < 0) exitNow(70);
  }
}

/**
 * Connects to a Unix socket of a service: the path is resolved inside its root (openat2(2),
 * RESOLVE_IN_ROOT, Linux 5.6), so no symlink leads out of it, and the server sees the service's own
 * identity as its peer (SO_PEERCRED). Returns the connected socket, or errno.
 */
export function connectUnixInRoot(
  root: string,
  path: string,
  identity: { uid: number; gid: number } | null,
): { fd: number } | { errno: number } {
  const rootFd = openSync(root, O_PATH | constants.O_DIRECTORY);
  const how = new NativeMemory(24);
  how.bytes.writeBigUInt64LE(BigInt(O_PATH), 0);
  how.bytes.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), 16);
  const name = Buffer.from(`${path}\0`);
  const memory = new NativeMemory(name.length);
  name.copy(memory.bytes);
  let fileFd = -1;
  let fd = -1;
  try {
    fileFd = checked(
      syscallOpenat2(rootFd, memory.address, how.address),
      `open ${path} in the VPS`,
    );
    fd = createStreamSocket('unix');
    const result = asIdentity(identity, () =>
      startConnect(fd, { kind: 'unix', path: `/proc/self/fd/${fileFd}` }),
    );
    if (result === 'connected') {
      const connected = fd;
      fd = -1;
      return { fd: connected };
    }
    return { errno: result === 'in-progress' ? EAGAIN : result.errno };
  } catch (error) {
    const errno = (error as { errno?: number }).errno;
    if (errno === undefined) throw error;
    return { errno };
  } finally {
    if (fd >= 0) closeFd(fd);
    if (fileFd >= 0) closeFd(fileFd);
    closeSync(rootFd);
    memory.release();
    how.release();
  }
}

const EAGAIN = 11;

function syscallOpenat2(rootFd: number, path: bigint, how: bigint): number {
  return syscall(SYS.openat2, rootFd, path, how, 24);
}
