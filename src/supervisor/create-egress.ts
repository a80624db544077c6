import { join } from 'node:path';
import type { Logger } from '../base/log.js';
import type { Underway } from '../base/underway.js';
import { EgressDoors } from './egress-doors.js';
import { EGRESS_LOG_FD, EgressLink } from './egress-link.js';
import type { Identities } from './identities.js';
import { switchable } from './instance-factory.js';
import type { Machine } from './machine.js';
import { ResolverFiles } from './resolver-files.js';

/** Each look-up of a name holds one while name servers don't answer. */
const LOOKUP_THREADS = 64;

export interface CreateEgressSettings {
  readonly runtimeDir: string;
  /** The egress process's program, a file of the package. */
  readonly program: string;
  readonly environment: Readonly<Record<string, string>>;
  /** See `EgressLinkSettings`. */
  readonly openLog: (() => number) | null;
  readonly machine: Machine;
  readonly identities: Identities;
  readonly underway: Underway;
  readonly log: Logger;
}

/** Services' ways out, with the process behind them, which isn't started yet. */
export function createEgress(settings: CreateEgressSettings): EgressDoors {
  const { identities, log, machine, openLog, program, runtimeDir, underway } = settings;
  const environment = {
    ...settings.environment,
    UV_THREADPOOL_SIZE: String(LOOKUP_THREADS),
    ...(openLog === null ? {} : { ROUSE_LOG_FD: String(EGRESS_LOG_FD) }),
  };
  const resolver = new ResolverFiles({ directory: join(runtimeDir, 'resolver') });
  const link = new EgressLink({
    launcher: machine.launchers,
    openLog,
    resolver,
    buildVps: () => machine.isolation.buildEgressVps(resolver.directory),
    program: () => ({
      executable: process.execPath,
      arguments: [process.execPath, program],
      environment: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      identity: switchable(
        identities.resolve({ name: 'egress:main', user: null, group: null, groups: [] }),
      ),
    }),
    underway,
    log,
  });
  return new EgressDoors(machine.isolation.planFor === null ? null : link, log);
}
