import { chmod, chown, lstat, mkdir, mkdtemp, rename, rm, rmdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { messageOf, RouseError } from '../base/errors.js';
import { closeFd } from '../sys/descriptors.js';
import { listenOn } from '../sys/sockets.js';

/** The kernel's limit for a path in `sockaddr_un` (unix(7)): 108 bytes with the final NUL. */
const MAX_SOCKET_PATH_BYTES = 107;
const BACKLOG = 511;

export interface SocketFile {
  readonly path: string;
  /** Permission bits, such as 0o660. */
  readonly mode: number;
  /** Group of the file; null: the process's own. */
  readonly gid: number | null;
}

/**
 * A listening socket on a file that nobody can reach before its mode and group are set: it is bound in
 * a directory of mode 0700 and the file renamed to its place, over a stale one if there is one. The
 * descriptor is the caller's.
 *
 * @throws RouseError `running` when somebody answers there, `bind` when the place can't be taken
 */
export async function bindSocketFile(file: SocketFile): Promise<number> {
  const directory = dirname(file.path);
  checkLength(file.path, directory);
  await mkdir(directory, { recursive: true, mode: 0o750 });
  await checkFree(file.path);
  const workDirectory = await mkdtemp(join(directory, '.a'));
  let fd: number | null = null;
  try {
    const boundPath = join(workDirectory, 's');
    fd = listenOn({ kind: 'unix', path: boundPath }, BACKLOG);
    await chmod(boundPath, file.mode);
    if (file.gid !== null) await chown(boundPath, -1, file.gid);
    await rename(boundPath, file.path);
    await rmdir(workDirectory);
    return fd;
  } catch (error) {
    if (fd !== null) closeFd(fd);
    await rm(workDirectory, { recursive: true, force: true });
    const reason = messageOf(error);
    throw new RouseError('bind', `admin socket: cannot make ${file.path}: ${reason}`, {
      cause: error,
    });
  }
}

function checkLength(path: string, directory: string): void {
  const longest = Math.max(
    Buffer.byteLength(path),
    Buffer.byteLength(join(directory, '.aXXXXXX/s')),
  );
  if (longest <= MAX_SOCKET_PATH_BYTES) return;
  throw new RouseError(
    'bind',
    `admin socket: ${path} is longer than the ${MAX_SOCKET_PATH_BYTES} bytes that a socket's path may have; choose a shorter --runtime-dir`,
  );
}

async function checkFree(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => null);
  if (!stats) return;
  if (!stats.isSocket()) {
    throw new RouseError(
      'bind',
      `admin socket: ${path} is there and is not a socket; move it away`,
    );
  }
  if (await answers(path)) {
    throw new RouseError(
      'running',
      `admin socket: another rouse answers on ${path}; stop it, or choose another --runtime-dir`,
    );
  }
}

/** Whether somebody accepts connections on a socket file. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // EAGAIN: the queue of a listener that lives is full (connect(2)).
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EAGAIN'));
  });
}
