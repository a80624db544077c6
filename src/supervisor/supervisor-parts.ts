import type { Logger } from '../base/log.js';
import { Underway } from '../base/underway.js';
import type { Config } from '../config/model.js';
import { createEgress } from './create-egress.js';
import type { EgressDoors } from './egress-doors.js';
import type { GatewayProgramSettings } from './gateway-program.js';
import { GatewaySet } from './gateway-set.js';
import type { Identities } from './identities.js';
import { InstanceFactory } from './instance-factory.js';
import type { JournalWriter } from './journal-output.js';
import { KeptDescriptors } from './kept-descriptors.js';
import { KeptRecords } from './kept-records.js';
import { ListenerSockets, METRICS_LISTENER } from './listener-sockets.js';
import type { Machine } from './machine.js';
import { Reach } from './reach.js';
import type { ServiceManager } from './service-manager.js';
import { ServiceSet } from './service-set.js';
import { StartQueue } from './start-queue.js';
import { makeStateDirectory } from './state-directory.js';
import { TrafficCounters } from './traffic-counters.js';
import { VpsStore } from './vps-store.js';

export interface SupervisorSettings extends Omit<GatewayProgramSettings, 'openLog'> {
  readonly config: Config;
  readonly runtimeDir: string;
  readonly stateDir: string;
  /** Where rouse itself is installed. */
  readonly packageRoot: string;
  /** The gateway's program, a file of the package. */
  readonly gatewayProgram: string;
  /** The egress process's program, likewise. */
  readonly egressProgram: string;
  /** Environment of gateways: how they log. */
  readonly gatewayEnvironment: Readonly<Record<string, string>>;
  /** Descriptors that were passed to this process, by name (sd_listen_fds_with_names(3)). */
  readonly inheritedSockets: ReadonlyMap<string, readonly number[]>;
  readonly manager: ServiceManager;
  /** Gets what services print, and what gateways log; null: there is none. */
  readonly journal: JournalWriter | null;
  readonly afterCrash: boolean;
  /** Root of a user namespace only (user_namespaces(7)). */
  readonly isRootless: boolean;
  readonly log: Logger;
}

/** Of what a supervisor consists. */
export interface SupervisorParts {
  readonly machine: Machine;
  readonly kept: KeptDescriptors;
  readonly records: KeptRecords;
  readonly listeners: ListenerSockets;
  /** The one socket on which the first gateway serves metrics. */
  readonly metrics: ListenerSockets;
  readonly startQueue: StartQueue;
  readonly egress: EgressDoors;
  readonly store: VpsStore;
  readonly instances: InstanceFactory;
  readonly services: ServiceSet;
  readonly gateways: GatewaySet;
  readonly counters: TrafficCounters;
  readonly underway: Underway;
  readonly manager: ServiceManager;
}

export function buildParts(
  settings: SupervisorSettings,
  machine: Machine,
  identities: Identities,
  renderMetrics: () => Promise<string>,
): SupervisorParts {
  const { afterCrash, config, journal, log, manager, runtimeDir, stateDir } = settings;
  const openLog = journal && (() => journal.openSocket());
  const underway = new Underway();
  const counters = new TrafficCounters();
  const kept = new KeptDescriptors(settings.inheritedSockets, manager, (message) =>
    log.warn(message),
  );
  const listeners = new ListenerSockets(kept, afterCrash);
  const metrics = new ListenerSockets(kept, afterCrash);
  const records = new KeptRecords(kept);
  const startQueue = new StartQueue(config.startParallel, underway);
  const reach: Reach = new Reach(
    {
      listen: (name, sockets) => gateways.listen(name, sockets),
      unlisten: (name) => gateways.unlisten(name),
    },
    log,
  );
  const egress = createEgress({
    ...{ runtimeDir, machine, identities, underway, log, openLog },
    program: settings.egressProgram,
    environment: settings.gatewayEnvironment,
  });
  const store = new VpsStore({
    runtimeDir,
    planFor: machine.isolation.planFor,
    cgroups: machine.cgroups,
    stateDirectoryOf: (service) => makeStateDirectory(service, stateDir, identities),
    limit: (service, cgroup) => machine.limit(service, cgroup),
    ...{ reach, egress, underway, log },
  });
  const instances = new InstanceFactory({ store, identities, machine, underway });
  const services = new ServiceSet({
    ...{ stateDir, journal, log, store, underway, startQueue, records, instances },
    onGone: (service, instance) => gateways.instanceGone(service, instance),
  });
  const { drivers } = services;
  const gateways: GatewaySet = new GatewaySet({
    program: { ...settings, openLog },
    ...{ machine, identities },
    surroundings: {
      ...{ log, underway, counters, renderMetrics },
      driverFor: (service) => services.driverFor(service),
      drivers: () => drivers.values(),
    },
    socketsOf: (listener) => listeners.of(listener),
    reachSockets: () => reach.sockets,
    metricsFd: () => metrics.of(METRICS_LISTENER)[0]?.fd ?? null,
  });
  return {
    ...{ machine, kept, records, listeners, metrics, startQueue, egress, store, instances },
    ...{ services, gateways, counters, underway, manager },
  };
}
