import { chmod, mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { RouseError } from '../base/errors.js';

export interface Directories {
  /** Sockets and what a run leaves behind: gone at the next boot. */
  readonly runtimeDir: string;
  /** What services printed. */
  readonly stateDir: string;
}

export interface DirectoryFlags {
  readonly runtimeDir?: string | undefined;
  readonly stateDir?: string | undefined;
}

/**
 * Where rouse keeps its files: what the flags say, else systemd's `RUNTIME_DIRECTORY` and
 * `STATE_DIRECTORY`, else /run and /var/lib for root and the XDG base directories for others.
 */
export function resolveDirectories(
  flags: DirectoryFlags,
  env: NodeJS.ProcessEnv,
  uid: number,
): Directories {
  const owner = ownerOf(env, uid);
  return {
    runtimeDir: resolve(
      flags.runtimeDir ?? firstOf(env.RUNTIME_DIRECTORY) ?? defaultRuntimeDir(env, owner),
    ),
    stateDir: resolve(
      flags.stateDir ?? firstOf(env.STATE_DIRECTORY) ?? defaultStateDir(env, owner),
    ),
  };
}

/** The user whose rouse this is: inside the user namespace of a rootless rouse everyone is 0. */
function ownerOf(env: NodeJS.ProcessEnv, uid: number): number {
  const outer = env.ROUSE_ROOTLESS_UID;
  return uid === 0 && outer !== undefined && /^\d+$/.test(outer) ? Number(outer) : uid;
}

/** systemd separates several directories by colons (systemd.exec(5)). */
function firstOf(list: string | undefined): string | undefined {
  return list?.split(':')[0] || undefined;
}

function defaultRuntimeDir(env: NodeJS.ProcessEnv, owner: number): string {
  if (owner === 0) return '/run/rouse';
  return env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'rouse') : `/tmp/rouse-${owner}`;
}

function defaultStateDir(env: NodeJS.ProcessEnv, owner: number): string {
  if (owner === 0) return '/var/lib/rouse';
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local/state'), 'rouse');
}

/** The admin socket in a runtime directory. */
export function adminSocketPath(runtimeDir: string): string {
  return join(runtimeDir, 'admin.sock');
}

/**
 * Makes both directories where they are missing.
 *
 * @throws RouseError `system` when one can't be made or is another user's: /tmp is everybody's
 */
export async function prepareDirectories(directories: Directories, uid: number): Promise<void> {
  await prepareDirectory(directories.runtimeDir, 'runtime', '--runtime-dir', uid);
  await prepareDirectory(directories.stateDir, 'state', '--state-dir', uid);
}

async function prepareDirectory(
  path: string,
  role: string,
  flag: string,
  uid: number,
): Promise<void> {
  try {
    // Root's may be passed through by everyone: members of admin.group reach the socket in it.
    const created = await mkdir(path, { recursive: true, mode: 0o755 });
    if (created !== undefined && uid !== 0) await chmod(path, 0o700);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'EACCES' ? 'permission denied' : message;
    throw new RouseError(
      'system',
      `${role} directory ${path}: ${reason}; choose one with ${flag}`,
      {
        cause: error,
      },
    );
  }
  const { uid: owner } = await stat(path);
  if (uid === 0 || owner === uid) return;
  throw new RouseError(
    'system',
    `${role} directory ${path} belongs to uid ${owner}, not to ${uid}; choose another with ${flag}`,
  );
}
