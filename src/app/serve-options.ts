import type { Logger } from '../base/log.js';
import type { LoadResult } from '../config/load.js';
import type { Config } from '../config/model.js';
import type { Status } from '../ipc/admin-api.js';
import type { Journal } from '../sys/journal.js';
import type { EarlierSelf } from './earlier-self.js';

/** What the composition of supervisor and gateways is given by the command line. */
export interface ServeOptions {
  /** The configuration as it is now: called at the start (where it has succeeded once) and for each reload. */
  readonly load: () => Promise<LoadResult>;
  readonly runtimeDir: string;
  readonly stateDir: string;
  readonly log: Logger;
  /** Called once, when every listener takes connections. */
  readonly onReady?: (status: Status, config: Config) => void;
  /** A person reads the log: gateways write readable lines too. */
  readonly printReadable: boolean;
  /** Where `log` writes to systemd's journal: others may write there too. */
  readonly journal: Journal | null;
  /** Where this process was another program of rouse before, what that one has handed over. */
  readonly earlier: EarlierSelf | null;
  /** Descriptors that a rouse which re-executes itself (rootless) passes on under the same numbers. */
  readonly inheritFds: readonly number[];
}

/** Resolves with the exit code when everything of it has ended. */
export type Serve = (options: ServeOptions) => Promise<number>;
