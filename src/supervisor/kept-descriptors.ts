import { createHash } from 'node:crypto';
import { closeFd } from '../sys/descriptors.js';
import type { ServiceManager } from './service-manager.js';

/** No unit's name has a slash, so no socket unit passes descriptors by such names unless it is told to. */
const PREFIX = 'rouse/';
/** FDNAME has 255 characters at most (sd_pid_notify_with_fds(3)). */
const MAX_NAME_LENGTH = 255;

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
  /** Passed by socket units, by name. */
  readonly passed: ReadonlyMap<string, readonly number[]>;

  /** `inherited`: all that was passed to this process, by name (sd_listen_fds_with_names(3)). */
  constructor(
    inherited: ReadonlyMap<string, readonly number[]>,
    private readonly manager: ServiceManager,
  ) {
    const passed = new Map<string, readonly number[]>();
    for (const [name, fds] of inherited) {
      if (name.startsWith(PREFIX)) this.#found.set(name, fds);
      else passed.set(name, fds);
    }
    this.passed = passed;
  }

  /** Whether there is somebody who may keep descriptors. */
  get isPossible(): boolean {
    return this.manager.isPresent;
  }

  /** The first descriptor, of a name with one of these beginnings, that passes the test: from now on the caller's, and kept on. */
  claim(
    kind: string,
    test: (fd: number, name: string) => boolean,
  ): { readonly fd: number; readonly name: string } | null {
    for (const [name, fds] of this.#found) {
      if (!name.startsWith(`${PREFIX}${kind}/`)) continue;
      const fd = fds.find((each) => test(each, name));
      if (fd === undefined) continue;
      this.#found.delete(name);
      for (const double of fds) if (double !== fd) closeFd(double);
      return { fd, name };
    }
    return null;
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

  /** Has a descriptor kept, which stays the caller's. */
  keep(name: string, fd: number): void {
    this.manager.storeDescriptors(name, [fd]);
  }

  /** It is kept no longer. */
  forget(name: string): void {
    this.manager.removeDescriptors(name);
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
