import { readdirSync, readFileSync } from 'node:fs';
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
import { type Holder, type HolderState, restoreHolder, startHolder } from './holder.js';
import { ServiceCgroup, type ServiceCgroupState } from './service-cgroup.js';

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
  /** TCP ports at which gateways and probes reach its processes. */
  readonly dialledPorts: readonly number[];
  /** Where it lives; it goes with the VPS. */
  readonly cgroup: ServiceCgroup | null;
}

/** What an upgraded supervisor goes on with. */
export type VpsState =
  | {
      readonly kind: 'held';
      readonly name: string;
      readonly network: VpsPlan['network'];
      readonly holder: HolderState;
      readonly initPidFd: number;
      readonly networkFd: number | null;
      readonly cgroup: ServiceCgroupState | null;
    }
  | {
      readonly kind: 'host';
      readonly seen: readonly number[];
      readonly cgroup: ServiceCgroupState | null;
    };

/** Goes on with the VPS of an earlier self. */
export function restoreVps(state: VpsState): Vps {
  return state.kind === 'held' ? HeldVps.restore(state) : HostVps.restore(state);
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
  /** Not to be asked for once `dispose` was called. */
  state(): VpsState;
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
    private readonly plan: Pick<VpsPlan, 'name' | 'network' | 'cgroup'>,
    private readonly holder: Holder,
    private readonly initPidFd: number,
    networkFd: number | null,
  ) {
    const { child, initPid } = holder;
    this.cgroup = plan.cgroup;
    const networkFlag = plan.network === 'private' ? CLONE_NEWNET : 0;
    this.target = { vpsPidfd: initPidFd, namespaces: NAMESPACES | networkFlag };
    this.networkFd = networkFd;
    this.root = `/proc/${initPid}/root`;
    this.ended = child.exited.then(() => {});
  }

  static restore(state: VpsState & { kind: 'held' }): HeldVps {
    const { name, network, holder, initPidFd, networkFd } = state;
    const cgroup = state.cgroup && ServiceCgroup.restore(state.cgroup);
    return new HeldVps({ name, network, cgroup }, restoreHolder(holder), initPidFd, networkFd);
  }

  state(): VpsState {
    const { name, network, cgroup } = this.plan;
    return {
      ...{ kind: 'held', name, network },
      holder: { ...this.holder, child: this.holder.child.state() },
      initPidFd: this.initPidFd,
      networkFd: this.networkFd,
      cgroup: cgroup?.state() ?? null,
    };
  }

  /** Rejects with a `RouseError` of code `isolation` that quotes bubblewrap. */
  static async build(plan: VpsPlan): Promise<HeldVps> {
    let holder: Holder | null = null;
    let vps: HeldVps | null = null;
    try {
      holder = await startHolder(plan);
      const networkFd = plan.network === 'private' ? openNetworkOf(holder.initPid) : null;
      vps = new HeldVps(plan, holder, openPidfd(holder.initPid), networkFd);
      if (vps.networkFd !== null) prepareNetwork(vps.networkFd, plan.dialledPorts);
      return vps;
    } catch (error) {
      if (vps) vps.dispose().catch(() => {});
      else {
        if (holder) endHolder(holder);
        plan.cgroup?.kill();
        void plan.cgroup?.remove();
      }
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
    const own = descendantsOf([this.holder.initPid]);
    const held = own.find((pid) => pid !== this.holder.initPid && isHeldProgram(pid));
    const all = new Set([...below, ...own]);
    return [...all].filter((pid) => pid !== this.holder.initPid && pid !== held);
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
    signalPidfd(this.initPidFd, SIGKILL);
    this.cgroup?.kill();
    const insist = setTimeout(() => this.holder.child.signal(SIGKILL), KILL_PATIENCE_MS);
    await this.ended;
    clearTimeout(insist);
    closeFd(this.holder.stdinFd);
    closeFd(this.initPidFd);
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

  static restore(state: VpsState & { kind: 'host' }): HostVps {
    const vps = new HostVps(state.cgroup && ServiceCgroup.restore(state.cgroup));
    for (const pid of state.seen) vps.#seen.add(pid);
    return vps;
  }

  state(): VpsState {
    return { kind: 'host', seen: [...this.#seen], cgroup: this.cgroup?.state() ?? null };
  }

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

function endHolder({ child, stdinFd }: Holder): void {
  child.signal(SIGKILL);
  closeFd(stdinFd);
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
