import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { closeFd, createMemfd, createPipe } from '../sys/descriptors.js';
import { errnoName } from '../sys/libc.js';
import { ChildProcessHandle, type ChildState } from '../sys/processes.js';
import { spawn } from '../sys/spawn.js';
import { describeExit } from './describe-exit.js';
import type { VpsPlan } from './vps.js';

const BUILD_TIMEOUT_MS = 10_000;
const OUTPUT_LIMIT_CHARACTERS = 2000;
const INFO_FD = 3;
/** The options go through it: in /proc/1/cmdline the service would read of the host's paths. */
const ARGUMENTS_FD = 4;
const SIGKILL = 9;
/** Enters a cgroup and becomes the rest of the arguments: so the holder and its namespaces are born in it. */
const ENTER_CGROUP = ['/bin/sh', '-c', 'echo 0 > "$1" && shift && exec "$@"', 'sh'];

/** bubblewrap, which builds a VPS and keeps it in being. */
export interface Holder {
  readonly child: ChildProcessHandle;
  /** What it holds reads from it, and ends when it is closed. */
  readonly stdinFd: number;
  /** The VPS's pid 1, as the host sees it. */
  readonly initPid: number;
}

/** What an upgraded supervisor goes on with. */
export type HolderState = Omit<Holder, 'child'> & { readonly child: ChildState };

/** Goes on with the holder of an earlier self. */
export function restoreHolder(state: HolderState): Holder {
  return { ...state, child: new ChildProcessHandle(state.child) };
}

/**
 * Starts a holder and waits until its VPS stands. To be called on the main thread: the holder dies
 * with the thread that started it. Rejects with what bubblewrap said; no process is left then.
 */
export async function startHolder(plan: VpsPlan): Promise<Holder> {
  const pipes = {
    stdin: createPipe(),
    stdout: createPipe(),
    stderr: createPipe(),
    info: createPipe(),
  };
  const { stdin, stdout, stderr, info } = pipes;
  let child: ChildProcessHandle;
  try {
    child = spawnHolder(plan, [
      [stdin.readFd, 0],
      [stdout.writeFd, 1],
      [stderr.writeFd, 2],
      [info.writeFd, INFO_FD],
    ]);
  } catch (error) {
    for (const { readFd } of [stdout, stderr, info]) closeFd(readFd);
    closeFd(stdin.writeFd);
    throw error;
  } finally {
    closeFd(stdin.readFd);
    for (const { writeFd } of [stdout, stderr, info]) closeFd(writeFd);
  }
  try {
    writeSync(stdin.writeFd, '.');
    const initPid = await waitUntilBuilt(child, {
      stdout: openReader(stdout.readFd),
      stderr: openReader(stderr.readFd),
      info: openReader(info.readFd),
    });
    return { child, stdinFd: stdin.writeFd, initPid };
  } catch (error) {
    child.signal(SIGKILL);
    closeFd(stdin.writeFd);
    throw error;
  }
}

function spawnHolder(
  plan: VpsPlan,
  descriptors: readonly (readonly [number, number])[],
): ChildProcessHandle {
  const commandAt = plan.arguments.indexOf('--');
  const options = plan.arguments.slice(0, commandAt).map((option) => `${option}\0`);
  const command = [
    plan.bubblewrap,
    '--args',
    `${ARGUMENTS_FD}`,
    ...plan.arguments.slice(commandAt),
  ];
  const argv =
    plan.cgroup === null ? command : [...ENTER_CGROUP, plan.cgroup.holderProcs, ...command];
  const optionsFd = createMemfd('rouse-vps', options.join(''));
  try {
    const spawned = spawn({
      executable: argv[0] as string,
      arguments: argv,
      environment: [],
      directory: '/',
      descriptors: [...descriptors, [optionsFd, ARGUMENTS_FD]],
    });
    if ('errno' in spawned) throw new Error(`cannot run ${argv[0]}: ${errnoName(spawned.errno)}`);
    return ChildProcessHandle.of(spawned.pid);
  } finally {
    closeFd(optionsFd);
  }
}

type Streams = Readonly<Record<'stdout' | 'stderr' | 'info', Socket>>;

function openReader(fd: number): Socket {
  const reader = new Socket({ fd, readable: true, writable: false });
  reader.on('error', () => {});
  return reader;
}

/** bubblewrap tells the init process's pid early; that `cat` echoes says that the root is built. */
async function waitUntilBuilt(
  child: ChildProcessHandle,
  { stdout, stderr, info }: Streams,
): Promise<number> {
  let complaint = '';
  stderr.on('data', (chunk) => {
    complaint = (complaint + chunk).slice(0, OUTPUT_LIMIT_CHARACTERS);
  });
  const failed = Promise.all([child.exited, once(stderr, 'close')]).then(([exit]) => {
    throw new Error(complaint.trim() || `bubblewrap ${describeExit(exit)}`);
  });
  failed.catch(() => {});
  const timeout = AbortSignal.timeout(BUILD_TIMEOUT_MS);
  const built = Promise.all([text(info), once(stdout, 'data', { signal: timeout })]);
  built.catch(() => {});
  try {
    const [told] = await Promise.race([built, failed]);
    const initPid = (JSON.parse(told) as Record<string, unknown>)['child-pid'];
    if (typeof initPid !== 'number') throw new Error(`bubblewrap told no pid: ${told}`);
    return initPid;
  } finally {
    for (const stream of [stdout, stderr, info]) stream.destroy();
  }
}
