import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { messageOf, RouseError } from '../base/errors.js';
import { closeFd } from '../sys/descriptors.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
} from '../sys/libc.js';
import { closeNetwork, openNetworkOf, prepareNetwork } from '../sys/namespaces.js';
import { descendantsOf, openPidfd, signalPidfd } from '../sys/processes.js';
import type { ServiceCgroup } from './service-cgroup.js';

const BUILD_TIMEOUT_MS = 10_000;
const OUTPUT_LIMIT_CHARACTERS = 2000;
/** The options go through it: in /proc/1/cmdline the service would read of the host's paths. */
const ARGUMENTS_FD = 4;
/** Enters a cgroup and becomes the rest of the arguments: so the holder and its namespaces are born in it. */
const ENTER_CGROUP = ['/bin/sh', '-c', 'echo 0 > "$1" && shift && exec "$@"', 'sh'];
type Pipes = [
  stdin: Writable,
  stdout: Readable,
  stderr: Readable,
  info: Readable,
  options: Writable,
];

const KILL_PATIENCE_MS = 2000;
const SIGKILL = 9;
const NAMESPACES = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
/** In its pid namespace: the reaper, and what it holds. */
const HOLDER_PIDS = new Set(['1', '2']);

export interface VpsPlan {
  /** For people: the service or gateway. */
  readonly name: string;
  readonly bubblewrap: string;
  readonly arguments: readonly string[];
  readonly network: 'private' | 'host';
  /** Where it lives; it goes with the VPS. */
  readonly cgroup: ServiceCgroup | null;
}

/** Where processes run: what the launcher needs to put one there, and what ends them all. */
export interface Vps {
  readonly target: Pick<LaunchRequest, 'vpsPidfd' | 'namespaces'>;
  /** Network namespace to create its sockets in; null: the host's. */
  readonly networkFd: number | null;
  /** The root that its processes see, as a path of this process. */
  readonly root: string;
  readonly cgroup: ServiceCgroup | null;
  /**
   * Brings what was just started into the cgroup, whatever it has forked meanwhile included.
   * `isLaunching`: more is being started, of which `started` doesn't know yet.
   */
  adopt(
    launched: number,
    started: () => readonly number[],
    isLaunching: () => boolean,
  ): Promise<void>;
  /** Host pids of the processes in it; `started`: those that the launcher put there. */
  processes(started: readonly number[]): number[];
  /** Whether it has any process but the holder's own; zombies don't count. */
  isPopulated(started: readonly number[]): boolean;
  /** Ends every process in it, and it. Idempotent; resolves when they are gone. */
  dispose(): Promise<void>;
  /** Resolves when its holder ended, by itself or by `dispose`. */
  readonly ended: Promise<void>;
}

/** A VPS held by bubblewrap: the namespaces and mounts stand for as long as it lives. */
export class HeldVps implements Vps {
  readonly target: Vps['target'];
  readonly networkFd: number | null;
  readonly root: string;
  readonly cgroup: ServiceCgroup | null;
  readonly ended: Promise<void>;
  #disposal: Promise<void> | null = null;

  private constructor(
    private readonly holder: ChildProcess,
    private readonly initPid: number,
    private readonly pidfd: number,
    { network, cgroup }: VpsPlan,
  ) {
    this.cgroup = cgroup;
    const networkFlag = network === 'private' ? CLONE_NEWNET : 0;
    this.target = { vpsPidfd: pidfd, namespaces: NAMESPACES | networkFlag };
    this.networkFd = networkFlag ? openNetworkOf(initPid) : null;
    this.root = `/proc/${initPid}/root`;
    this.ended = new Promise((resolve) => {
      if (holder.exitCode !== null || holder.signalCode !== null) resolve();
      else holder.once('exit', () => resolve());
    });
  }

  /** Rejects with a `RouseError` of code `isolation` that quotes bubblewrap. */
  static async build(plan: VpsPlan): Promise<HeldVps> {
    const commandAt = plan.arguments.indexOf('--');
    const command = [
      plan.bubblewrap,
      '--args',
      `${ARGUMENTS_FD}`,
      ...plan.arguments.slice(commandAt),
    ];
    const [program = '', ...programArguments] =
      plan.cgroup === null ? command : [...ENTER_CGROUP, plan.cgroup.holderProcs, ...command];
    const holder = spawn(program, programArguments, {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
      detached: true,
      env: {},
    });
    // Where it can't be spawned at all, that is told by an event too.
    holder.on('error', () => {});
    let vps: HeldVps | null = null;
    try {
      const initPid = await waitUntilBuilt(holder, plan.arguments.slice(0, commandAt));
      vps = new HeldVps(holder, initPid, openPidfd(initPid), plan);
      if (vps.networkFd !== null) prepareNetwork(vps.networkFd);
      return vps;
    } catch (error) {
      if (holder.pid !== undefined) holder.kill('SIGKILL');
      vps?.dispose().catch(() => {});
      plan.cgroup?.kill();
      void plan.cgroup?.remove();
      throw new RouseError('isolation', `VPS of ${plan.name}: ${messageOf(error)}`);
    }
  }

  async adopt(
    launched: number,
    started: () => readonly number[],
    isLaunching: () => boolean,
  ): Promise<void> {
    await this.cgroup?.bringIn(launched, {
      near: () => this.#descendants([launched]),
      all: () => this.#descendants(started()),
      // What is being started is looked for when it is known.
      isWhole: (isInside) =>
        isLaunching() || this.#insidePids().every((pid) => isInside(`${this.root}/proc/${pid}`)),
    });
  }

  processes(started: readonly number[]): number[] {
    return [...new Set([...(this.cgroup?.processes() ?? []), ...this.#descendants(started)])];
  }

  #descendants(started: readonly number[]): number[] {
    const below = descendantsOf(started);
    // After those: who loses its parent meanwhile becomes a child of init.
    const own = descendantsOf([this.initPid]);
    const held = own.find((pid) => pid !== this.initPid && isHeldProgram(pid));
    const all = new Set([...below, ...own]);
    return [...all].filter((pid) => pid !== this.initPid && pid !== held);
  }

  isPopulated(): boolean {
    return this.#insidePids().length > 0;
  }

  /** Pids as they are numbered inside. */
  #insidePids(): string[] {
    try {
      return readdirSync(`${this.root}/proc`).filter(
        (name) =>
          /^\d+$/.test(name) &&
          !HOLDER_PIDS.has(name) &&
          !isZombie(`${this.root}/proc/${name}/stat`),
      );
    } catch {
      return [];
    }
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async #end(): Promise<void> {
    signalPidfd(this.pidfd, SIGKILL);
    this.cgroup?.kill();
    const insist = setTimeout(() => this.holder.kill('SIGKILL'), KILL_PATIENCE_MS);
    await this.ended;
    clearTimeout(insist);
    for (const stream of this.holder.stdio) stream?.destroy();
    closeFd(this.pidfd);
    if (this.networkFd !== null) closeNetwork(this.networkFd);
    await this.cgroup?.remove();
  }
}

/** No isolation, where it can't be had or isn't wanted: the host itself. */
export class HostVps implements Vps {
  readonly target = { vpsPidfd: null, namespaces: 0 };
  readonly networkFd = null;
  readonly root = '/';
  readonly ended = new Promise<void>(() => {});
  readonly #seen = new Set<number>();

  constructor(readonly cgroup: ServiceCgroup | null) {}

  async adopt(launched: number, started: () => readonly number[]): Promise<void> {
    this.#seen.add(launched);
    await this.cgroup?.bringIn(launched, {
      near: () => descendantsOf([launched]),
      all: () => this.#descendants(started()),
      isWhole: () => true,
    });
  }

  processes(started: readonly number[]): number[] {
    return [...new Set([...(this.cgroup?.processes() ?? []), ...this.#descendants(started)])];
  }

  /** Without a cgroup a process that left the tree of `started` (a daemon) is known only if it was seen before. */
  #descendants(started: readonly number[]): number[] {
    for (const pid of descendantsOf([...started, ...this.#seen])) this.#seen.add(pid);
    for (const pid of this.#seen) if (isZombie(`/proc/${pid}/stat`)) this.#seen.delete(pid);
    return [...this.#seen];
  }

  isPopulated(started: readonly number[]): boolean {
    return this.processes(started).length > 0;
  }

  async dispose(): Promise<void> {
    this.cgroup?.kill();
    for (const pid of this.processes([])) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
    await this.cgroup?.remove();
  }
}

/** Zombies and those that are gone. */
function isZombie(statPath: string): boolean {
  try {
    const stat = readFileSync(statPath, 'utf8');
    return 'ZX'.includes(stat[stat.lastIndexOf(')') + 2] ?? 'X');
  } catch {
    return true;
  }
}

function isHeldProgram(pid: number): boolean {
  try {
    return /^NSpid:.*\t2$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** bubblewrap tells the init process's pid early; that `cat` echoes says that the root is built. */
async function waitUntilBuilt(holder: ChildProcess, given: readonly string[]): Promise<number> {
  const [stdin, stdout, stderr, info, options] = holder.stdio as unknown as Pipes;
  let complaint = '';
  stderr.on('data', (chunk) => {
    complaint = (complaint + chunk).slice(0, OUTPUT_LIMIT_CHARACTERS);
  });
  for (const stream of [stdin, options]) stream.on('error', () => {});
  options.end(given.map((option) => `${option}\0`).join(''));
  const failed = new Promise<never>((_, reject) => {
    holder.once('error', reject);
    holder.once('close', (code) =>
      reject(new Error(complaint.trim() || `bubblewrap exited with ${code}`)),
    );
  });
  failed.catch(() => {});
  const timeout = AbortSignal.timeout(BUILD_TIMEOUT_MS);
  const built = Promise.all([text(info), once(stdout, 'data', { signal: timeout })]);
  stdin.write('.');
  const [told] = await Promise.race([built, failed]);
  const initPid = (JSON.parse(told) as Record<string, unknown>)['child-pid'];
  if (typeof initPid !== 'number') throw new Error(`bubblewrap told no pid: ${told}`);
  for (const stream of [stdout, stderr, info]) stream.destroy();
  return initPid;
}
