import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { messageOf } from '../base/errors.js';
import { Cgroup, findCgroup } from '../sys/cgroups.js';
import { descendantsOf } from '../sys/processes.js';
import { type CgroupFeatures, findFeatures } from './cgroup-features.js';

/** Controllers that limits need. */
const CONTROLLERS = ['memory', 'cpu', 'pids', 'io', 'cpuset'] as const;
export type Controller = (typeof CONTROLLERS)[number];

const OWN_NAME = /^rouse-(\d+)\.(\d+)$/;
/** Where this process moves to where its cgroup must be empty for its children to have controllers. */
const LEAF = 'supervisor';

/** What an upgraded supervisor goes on with. */
export interface CgroupTreeState {
  readonly serial: number;
  readonly enabled: readonly string[];
  /** Where this process moved to; null: it didn't. */
  readonly movedTo: string | null;
}

/**
 * The cgroups of this supervisor: a sub-tree of the cgroup that it was started in, which nobody else
 * uses, named after it so that the next one can clear away what a dead one left. No other cgroup of
 * the host is touched.
 */
export class CgroupTree {
  readonly #enabled: string[] = [];
  #movedTo: Cgroup | null = null;
  #serial = 0;

  private constructor(
    private readonly base: Cgroup,
    private readonly own: Cgroup,
    readonly controllers: ReadonlySet<Controller>,
    /** Why the others can't be had; null: all can. */
    readonly whyNotMore: string | null,
  ) {}

  /** Throws, with the reason, where there are no cgroups to be had. */
  static async open(startedIn = ownDirectory()): Promise<CgroupTree> {
    const base = new Cgroup(startedIn);
    await removeStale(base);
    const own = makeOwn(base);
    const found = enableControllers(base, own);
    const tree = new CgroupTree(base, own, found.controllers, found.whyNot);
    tree.#movedTo = found.leaf;
    tree.#enabled.push(...found.enabled);
    return tree;
  }

  state(): CgroupTreeState {
    const movedTo = this.#movedTo?.directory ?? null;
    return { serial: this.#serial, enabled: this.#enabled, movedTo };
  }

  /** Goes on with the tree of an earlier self, which was opened anew. */
  restore({ serial, enabled, movedTo }: CgroupTreeState): void {
    this.#serial = serial;
    this.#enabled.push(...enabled);
    this.#movedTo ??= movedTo === null ? null : new Cgroup(movedTo);
  }

  /** Tried anew each time: some change while the machine runs. */
  features(): CgroupFeatures {
    const probe = this.own.child('probe');
    const features = findFeatures(probe, this.own.root);
    void probe.remove();
    return features;
  }

  get directory(): string {
    return this.own.directory;
  }

  /** Its name is one that no other has had. */
  create(name: string): Cgroup {
    this.#serial += 1;
    return this.own.child(`${name}.${this.#serial}`);
  }

  /** Removes the tree, which has no processes any more but perhaps this one. */
  async close(): Promise<void> {
    for (const child of this.own.children())
      if (child.directory !== this.#movedTo?.directory) await child.remove();
    for (const controller of this.#enabled) {
      this.own.tryWrite('cgroup.subtree_control', `-${controller}`);
      this.base.tryWrite('cgroup.subtree_control', `-${controller}`);
    }
    if (this.#movedTo) this.base.tryWrite('cgroup.procs', `${process.pid}`);
    await this.own.remove();
  }
}

function ownDirectory(): string {
  const directory = findCgroup(
    readFileSync('/proc/self/mountinfo', 'utf8'),
    readFileSync('/proc/self/cgroup', 'utf8'),
  );
  if (directory === null) throw new Error('cgroup2 is not mounted');
  // After an upgrade in place this process is where its earlier self put it.
  const name = basename(dirname(directory));
  return basename(directory) === LEAF && name === nameOf(process.pid)
    ? dirname(dirname(directory))
    : directory;
}

function makeOwn(base: Cgroup): Cgroup {
  try {
    return base.child(nameOf(process.pid));
  } catch (error) {
    throw new Error(`no cgroup can be made in ${base.directory} (${messageOf(error)})`);
  }
}

/** With the time of the start: pids come again. */
function nameOf(pid: number): string {
  return `rouse-${pid}.${startTimeOf(pid)}`;
}

/** In clock ticks since boot, field 22 of proc_pid_stat(5); empty: no such process. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

async function removeStale(base: Cgroup): Promise<void> {
  for (const child of base.children()) {
    const [, pid = '', startTime] = OWN_NAME.exec(basename(child.directory)) ?? [];
    if (pid === '' || startTimeOf(Number(pid)) === startTime) continue;
    child.tryWrite('cgroup.kill', '1');
    await child.remove();
  }
}

interface Enabled {
  readonly controllers: ReadonlySet<Controller>;
  /** Those that weren't enabled before. */
  readonly enabled: readonly string[];
  readonly leaf: Cgroup | null;
  readonly whyNot: string | null;
}

/** A cgroup other than the root gives its children controllers only while it has no processes itself. */
function enableControllers(base: Cgroup, own: Cgroup): Enabled {
  const offered = wordsOf(base.read('cgroup.controllers'));
  const wanted = CONTROLLERS.filter((name) => offered.has(name));
  const missing = CONTROLLERS.filter((name) => !offered.has(name));
  const whyMissing =
    missing.length === 0 ? null : `${base.directory} has no ${missing.join(', ')} controller`;
  const enabledBefore = wordsOf(base.read('cgroup.subtree_control'));
  const toEnable = wanted.filter((name) => !enabledBefore.has(name));
  let leaf: Cgroup | null = null;
  if (toEnable.length > 0 && !isRoot(base)) {
    const mine = new Set(descendantsOf([process.pid]));
    if (base.processes().some((pid) => !mine.has(pid))) {
      const whyNot = `${base.directory} has other processes`;
      return { controllers: new Set(), enabled: [], leaf: null, whyNot };
    }
    leaf = own.child(LEAF);
    for (const pid of base.processes()) leaf.tryWrite('cgroup.procs', `${pid}`);
  }
  const enabled = toEnable.filter((name) => base.tryWrite('cgroup.subtree_control', `+${name}`));
  const had = wanted.filter((name) => own.tryWrite('cgroup.subtree_control', `+${name}`));
  return { controllers: new Set(had), enabled, leaf, whyNot: whyMissing };
}

/** Only the root of the hierarchy has no cgroup.events. */
function isRoot(cgroup: Cgroup): boolean {
  return cgroup.read('cgroup.events') === null;
}

function wordsOf(text: string | null): ReadonlySet<string> {
  return new Set((text ?? '').split(' ').filter(Boolean));
}
