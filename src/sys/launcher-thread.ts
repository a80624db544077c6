import { closeSync, constants, openSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { ALL_CPUS, setAffinity } from './affinity.js';
import { clearInheritable } from './inheritable-capabilities.js';
import type { LauncherData, LaunchRequest, LaunchResult } from './launch-request.js';
import {
  CLONE_FS,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  checked,
  exitNow,
  lastErrno,
  NativeMemory,
  prctl,
  SYS,
  SystemError,
  setns,
  syscall,
  umask,
  unshare,
} from './libc.js';
import { installFilter } from './seccomp.js';
import { spawn } from './spawn.js';

/**
 * The launcher thread. It shares no working directory, root and umask with the others, has
 * no_new_privs, empty bounding and inheritable sets and a system-call filter (which leaves it
 * setns(2) and the id calls), so what it spawns can never gain a privilege. Between two requests it
 * is back in the host's namespaces as root; what can't come back ends the process, for a thread in
 * the wrong place would start the next service there.
 */

const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAPBSET_DROP = 24;
const LAST_CAPABILITY = 63;
const EINVAL = 22;
const ALL_NAMESPACES =
  CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

/** [path under /proc/thread-self/ns, flag]; the mount namespace comes back last, since /proc changes with it. */
const OWN_NAMESPACES = (
  [
    ['pid', CLONE_NEWPID],
    ['net', CLONE_NEWNET],
    ['ipc', CLONE_NEWIPC],
    ['uts', CLONE_NEWUTS],
    ['cgroup', CLONE_NEWCGROUP],
    ['mnt', CLONE_NEWNS],
  ] as const
).map(([name, flag]) => ({
  flag,
  fd: openSync(`/proc/thread-self/ns/${name}`, constants.O_RDONLY),
}));

const { homePidfd, filter } = workerData as LauncherData;
const ownGroups = process.getgroups?.() ?? [];

checked(unshare(CLONE_FS), 'unshare the file system attributes of the launcher');
checked(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'set no_new_privs');
const whyBounded = emptyBoundingSet();
clearInheritable();
if (filter) {
  if (whyBounded) throw whyBounded;
  installFilter(Buffer.from(filter));
}

/** Returns what stands against it: who is no root, or a root that was left without CAP_SETPCAP. */
function emptyBoundingSet(): SystemError | null {
  for (let capability = 0; capability <= LAST_CAPABILITY; capability += 1) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) === 0) continue;
    // The kernel doesn't know so many.
    if (lastErrno() === EINVAL) break;
    return new SystemError('empty the capability bounding set', lastErrno());
  }
  return null;
}

/** Undoes, in reverse, what has been done so far; a step that can't be undone ends the process. */
class Excursion {
  readonly #wayBack: Array<() => boolean> = [];

  step(what: string, result: number, back?: () => boolean): void {
    if (result < 0) throw new SystemError(what, lastErrno());
    if (back) this.#wayBack.push(back);
  }

  comeBack(): void {
    for (const back of this.#wayBack.reverse()) if (!back()) exitNow(70);
  }
}

function enterVps(excursion: Excursion, request: LaunchRequest): void {
  if (request.vpsPidfd === null || request.namespaces === 0) return;
  const flags = request.namespaces & ALL_NAMESPACES;
  excursion.step('enter the namespaces of the VPS', setns(request.vpsPidfd, flags), () =>
    homePidfd === null
      ? OWN_NAMESPACES.every(({ flag, fd }) => !(flags & flag) || setns(fd, flag) === 0)
      : setns(homePidfd, flags) === 0,
  );
}

function setTemper(excursion: Excursion, request: LaunchRequest): void {
  const before = umask(request.umask);
  excursion.step('umask', 0, () => umask(before) >= 0);
  if (request.cpus.length > 0) {
    excursion.step(
      `run on CPUs ${request.cpus.join(', ')} of ${availableParallelism()}`,
      setAffinity(0, request.cpus),
      () => setAffinity(0, ALL_CPUS) === 0,
    );
  }
}

function setGroups(groups: readonly number[]): number {
  const memory = new NativeMemory(Math.max(4, groups.length * 4));
  for (const [index, group] of groups.entries()) memory.bytes.writeUInt32LE(group, index * 4);
  const result = syscall(SYS.setgroups, groups.length, memory.address, 0, 0);
  memory.release();
  return result;
}

/** Raw calls: the C library's would change all threads. The saved ids stay 0, which is the way back; exec overwrites them. */
function takeIdentity(excursion: Excursion, request: LaunchRequest): void {
  if (!request.identity) return;
  const { uid, gid, groups } = request.identity;
  excursion.step('set the groups', setGroups(groups), () => setGroups(ownGroups) === 0);
  excursion.step(
    `become group ${gid}`,
    syscall(SYS.setresgid, gid, gid, 0, 0),
    () => syscall(SYS.setresgid, 0, 0, 0, 0) === 0,
  );
  excursion.step(
    `become user ${uid}`,
    syscall(SYS.setresuid, uid, uid, 0, 0),
    () => syscall(SYS.setresuid, 0, 0, 0, 0) === 0,
  );
}

function launch(request: LaunchRequest): LaunchResult {
  const excursion = new Excursion();
  try {
    enterVps(excursion, request);
    setTemper(excursion, request);
    takeIdentity(excursion, request);
    const spawned = spawn(request);
    if ('pid' in spawned) return spawned;
    return { step: `start ${request.executable} in ${request.directory}`, errno: spawned.errno };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return { step: error.message.replace(/: [^:]*$/, ''), errno: error.errno };
  } finally {
    excursion.comeBack();
  }
}

process.once('exit', () => {
  for (const { fd } of OWN_NAMESPACES) closeSync(fd);
});

parentPort?.on('message', (request: LaunchRequest) => parentPort?.postMessage(launch(request)));
parentPort?.postMessage(Number(syscall(SYS.gettid, 0, 0, 0, 0)));
