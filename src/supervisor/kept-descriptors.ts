import { createHash } from 'node:crypto';
import { closeFd } from '../sys/descriptors.js';
import type { ServiceManager } from './service-manager.js';

/** No unit's name has a slash, so no socket unit passes descriptors by such names unless it is told to. */
const PREFIX = 'rouse/';
/** FDNAME has 255 characters at most (sd_pid_notify_with_fds(3)). */
const MAX_NAME_LENGTH = 255;
/**
 * LISTEN_FDNAMES has all names, and with one string of 128 KiB a process can't be started any more
 * (MAX_ARG_STRLEN in execve(2)). Some room is left for what else is passed or kept.
 */
const NAMES_LIMIT = 120 * 1024;

/** What an upgraded supervisor goes on with. */
export interface KeptState {
  readonly passed: readonly { readonly name: string; readonly fds: readonly number[] }[];
  /** Of what is kept. */
  readonly names: readonly string[];
}

/**
 * What the service manager keeps for the next rouse when this one ends, however it ends: its
 * descriptor store (FileDescriptorStoreMax= in systemd.service(5)). The next one finds it among the
 * sockets that are passed to it, by names that no socket unit has; a name says what a descriptor was
 * kept for, the descriptor itself what it is.
 */
export class KeptDescriptors {
  /** From the last rouse, and not claimed yet. */
  readonly #found = new Map<string, readonly number[]>();
  #isForgetting = false;
  readonly #names = new Set<string>();
  /** Of all names that are kept or passed, a separator each. */
  #namesLength = 0;
  #isTold = false;
  /** Passed by socket units, by name. */
  readonly passed: ReadonlyMap<string, readonly number[]>;

  /** `inherited`: all that was passed to this process, by name (sd_listen_fds_with_names(3)). */
  constructor(
    inherited: ReadonlyMap<string, readonly number[]>,
    private readonly manager: ServiceManager,
    private readonly onTrouble: (message: string) => void,
  ) {
    const passed = new Map<string, readonly number[]>();
    for (const [name, fds] of inherited) {
      this.#namesLength += fds.length * (name.length + 1);
      if (!name.startsWith(PREFIX)) passed.set(name, fds);
      else {
        this.#found.set(name, fds);
        this.#names.add(name);
      }
    }
    this.passed = passed;
  }

  state(): KeptState {
    const passed = [...this.passed].map(([name, fds]) => ({ name, fds }));
    return { passed, names: [...this.#names] };
  }

  /** Goes on with what an earlier self has had kept; what was passed to that one is to be given to the constructor. */
  restore({ names }: KeptState): void {
    for (const name of names) this.#addName(name);
  }

  /** Whether there is somebody who may keep descriptors. */
  get isPossible(): boolean {
    return this.manager.isPresent;
  }

  /** What of a kind nobody has claimed yet, by name. */
  unclaimed(kind: string): readonly (readonly [name: string, fds: readonly number[]])[] {
    return [...this.#found].filter(([name]) => name.startsWith(`${PREFIX}${kind}/`));
  }

  /** The first descriptor of this name that passes the test: from now on the caller's, and kept on. */
  claim(name: string, test: (fd: number) => boolean): number | null {
    const fds = this.#found.get(name) ?? [];
    const fd = fds.find(test);
    if (fd === undefined) return null;
    this.#found.delete(name);
    for (const double of fds) if (double !== fd) closeFd(double);
    return fd;
  }

  /** Closes what nobody claimed; resolves when nobody else has it open either. */
  async dropRest(): Promise<void> {
    for (const [name, fds] of this.#found) {
      for (const fd of fds) closeFd(fd);
      this.forget(name);
    }
    this.#found.clear();
    await this.settled();
  }

  /** Has a descriptor kept, which stays the caller's. False, and that is told once: there is no room for it. */
  keep(name: string, fd: number): boolean {
    if (!this.#names.has(name) && !this.#addName(name)) return false;
    this.manager.storeDescriptors(name, [fd]);
    return true;
  }

  #addName(name: string): boolean {
    const length = this.#namesLength + name.length + 1;
    if (length <= NAMES_LIMIT) {
      this.#namesLength = length;
      this.#names.add(name);
      return true;
    }
    if (!this.#isTold) {
      const what = `${this.#names.size} descriptors have the service manager's store full`;
      this.onTrouble(`${what}: ${name} and others do not outlive a restart or a crash`);
    }
    this.#isTold = true;
    return false;
  }

  /** It is kept no longer. */
  forget(name: string): void {
    this.manager.removeDescriptors(name);
    if (this.#names.delete(name)) this.#namesLength -= name.length + 1;
    this.#isForgetting = true;
  }

  /** Resolves when the manager has closed what it was to forget. */
  async settled(): Promise<void> {
    if (!this.#isForgetting) return;
    this.#isForgetting = false;
    await this.manager.barrier();
  }
}

/** A name for what is kept: readable, and in the characters that FDNAME may have. */
export function keptName(kind: string, ...parts: readonly string[]): string {
  const name = [`${PREFIX}${kind}`, ...parts.map(encodeURIComponent)].join('/');
  if (name.length <= MAX_NAME_LENGTH) return name;
  const digest = createHash('sha256').update(name).digest('hex');
  return `${PREFIX}${kind}/${digest}`;
}
