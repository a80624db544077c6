import type { ProcessExit } from '../sys/processes.js';
import type { ServiceCgroup } from './service-cgroup.js';

/** Tells when the kernel killed a process of an instance for want of memory. */
export class MemoryWatch {
  readonly #stopWatching: () => void;

  /**
   * @param isOutOfMemory whether it has done so before
   * @param onTrouble hears of it, in words
   */
  constructor(
    private readonly cgroup: ServiceCgroup | null,
    public isOutOfMemory: boolean,
    private readonly onTrouble: (message: string) => void,
  ) {
    this.#stopWatching = cgroup?.onMemoryEvent(() => this.#check()) ?? (() => {});
  }

  /** The end of a process, with the reason where it was this. */
  explain(exit: ProcessExit): ProcessExit {
    if (exit.signal !== 'SIGKILL') return exit;
    // The cgroup's event may come after the end.
    this.#check();
    return this.isOutOfMemory ? { ...exit, cause: 'out of memory' } : exit;
  }

  close(): void {
    this.#stopWatching();
  }

  #check(): void {
    const cause = this.cgroup?.takeOutOfMemory() ?? null;
    if (cause === null) return;
    this.isOutOfMemory = true;
    this.onTrouble(`out of memory: the kernel killed a process of it (${cause})`);
  }
}
