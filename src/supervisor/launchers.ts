import type { LaunchRequest } from '../sys/launch-request.js';
import { Launcher, type LauncherOptions } from '../sys/launcher.js';
import { CLONE_NEWNET } from '../sys/libc.js';
import type { ChildProcessHandle } from '../sys/processes.js';

export interface LaunchersOptions {
  /** See `LauncherOptions`. */
  readonly homePidfd: number | null;
  /** Whether what they start is under the system-call filter. */
  readonly isFiltered: boolean;
  /** Affinities are to hold against the processes themselves: no cpuset does. */
  readonly holdsAffinities: boolean;
}

/**
 * The launcher of everything, and others that are made when they are needed: with a stricter filter
 * for what has CPUs of its own, and, where a launcher can't come back to the host's network, one
 * that never leaves it for what runs there.
 */
export class Launchers {
  readonly #others = new Map<string, Promise<Launcher>>();

  private constructor(
    private readonly standard: Launcher,
    private readonly options: LaunchersOptions,
  ) {}

  /** Rejects where this machine has no such filter. */
  static async create(options: LaunchersOptions): Promise<Launchers> {
    const { homePidfd, isFiltered } = options;
    const standard = await Launcher.create({ homePidfd, filter: isFiltered ? 'standard' : null });
    return new Launchers(standard, options);
  }

  /** See `Launcher.launch`. */
  async launch(request: LaunchRequest): Promise<ChildProcessHandle> {
    const { homePidfd, isFiltered, holdsAffinities } = this.options;
    const isPinned = request.cpus.length > 0 && isFiltered && holdsAffinities;
    const staysInNetwork = homePidfd !== null && (request.namespaces & CLONE_NEWNET) === 0;
    if (!isPinned && !staysInNetwork) return this.standard.launch(request);
    const filter = isPinned ? 'pinned' : isFiltered ? 'standard' : null;
    const launcher = await this.#other(`${filter} ${staysInNetwork}`, { homePidfd, filter });
    return launcher.launch(request);
  }

  #other(key: string, options: LauncherOptions): Promise<Launcher> {
    const known = this.#others.get(key);
    if (known) return known;
    const created = Launcher.create(options);
    this.#others.set(key, created);
    return created;
  }

  async close(): Promise<void> {
    await this.standard.close();
    for (const other of this.#others.values()) await (await other).close();
  }
}
