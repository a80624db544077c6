import type { LaunchRequest } from '../sys/launch-request.js';
import { Launcher } from '../sys/launcher.js';
import type { ChildProcessHandle } from '../sys/processes.js';

export interface LaunchersOptions {
  /** See `LauncherOptions`. */
  readonly homePidfd: number | null;
  /** Whether what they start is under the system-call filter. */
  readonly isFiltered: boolean;
  /** Affinities are to hold against the processes themselves: no cpuset does. */
  readonly holdsAffinities: boolean;
}

/** The launcher of everything, and one with a stricter filter for what has CPUs of its own, made when it is needed. */
export class Launchers {
  #pinned: Promise<Launcher> | null = null;

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
    if (request.cpus.length === 0 || !isFiltered || !holdsAffinities) return this.standard.launch(request);
    this.#pinned ??= Launcher.create({ homePidfd, filter: 'pinned' });
    return (await this.#pinned).launch(request);
  }

  async close(): Promise<void> {
    await this.standard.close();
    await (await this.#pinned)?.close();
  }
}
