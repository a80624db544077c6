import { closeFd, duplicateFd } from './descriptors.js';
import { libc, NativeMemory } from './libc.js';
import { stringTable } from './string-table.js';

const fileActionsInit = libc.func('int posix_spawn_file_actions_init(void *)');
const fileActionsDestroy = libc.func('int posix_spawn_file_actions_destroy(void *)');
const fileActionsAddDup2 = libc.func('int posix_spawn_file_actions_adddup2(void *, int, int)');
const fileActionsAddChdir = libc.func('int posix_spawn_file_actions_addchdir_np(void *, str)');
const attributesInit = libc.func('int posix_spawnattr_init(void *)');
const attributesDestroy = libc.func('int posix_spawnattr_destroy(void *)');
const attributesSetFlags = libc.func('int posix_spawnattr_setflags(void *, short)');
const attributesSetSigdefault = libc.func('int posix_spawnattr_setsigdefault(void *, void *)');
const attributesSetSigmask = libc.func('int posix_spawnattr_setsigmask(void *, void *)');
const posixSpawn = libc.func('int posix_spawn(void *, str, void *, void *, void *, void *)');

const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
/** Descriptors are gathered above these numbers first, so that no dup2 overwrites one still needed. */
const GATHER_FROM = 64;

const fileActions = new NativeMemory(256);
const attributes = new NativeMemory(512);
const signals = new NativeMemory(128);
const childPid = new NativeMemory(8);

/** A program to be started: in a session of its own, with no signal blocked or ignored, with these descriptors and no others. */
export interface SpawnRequest {
  /** Absolute. */
  readonly executable: string;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
  readonly directory: string;
  /** [descriptor of this process, number in the new one]; the former stay the caller's. */
  readonly descriptors: readonly (readonly [number, number])[];
}

/**
 * Starts a program from this thread (posix_spawn(3), which reports what failed in the child, exec
 * included): the child's parent-death signal (PR_SET_PDEATHSIG(2const)) follows this thread's life.
 */
export function spawn(
  request: SpawnRequest,
): { readonly pid: number } | { readonly errno: number } {
  const gathered = request.descriptors.map(([from, to]) => ({
    fd: duplicateFd(from, GATHER_FROM),
    to,
  }));
  const argumentTable = stringTable(request.arguments);
  const environmentTable = stringTable(request.environment);
  fileActionsInit(fileActions.address);
  attributesInit(attributes.address);
  try {
    for (const { fd, to } of gathered) fileActionsAddDup2(fileActions.address, fd, to);
    fileActionsAddChdir(fileActions.address, request.directory);
    signals.bytes.fill(0);
    attributesSetSigmask(attributes.address, signals.address);
    signals.bytes.fill(0xff, 0, 8);
    attributesSetSigdefault(attributes.address, signals.address);
    attributesSetFlags(
      attributes.address,
      POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID,
    );
    const errno = posixSpawn(
      childPid.address,
      request.executable,
      fileActions.address,
      attributes.address,
      argumentTable.address,
      environmentTable.address,
    );
    return errno === 0 ? { pid: childPid.bytes.readInt32LE(0) } : { errno };
  } finally {
    fileActionsDestroy(fileActions.address);
    attributesDestroy(attributes.address);
    argumentTable.release();
    environmentTable.release();
    for (const { fd } of gathered) closeFd(fd);
  }
}
