import { messageOf, RouseError } from '../base/errors.js';
import type { Config, Service } from '../config/model.js';
import { availableCpus } from '../sys/affinity.js';
import { setProcessLimit } from '../sys/process-limits.js';
import {
  type Capabilities,
  findCapabilities,
  findUnenforceable,
  isCountedByUser,
} from './capabilities.js';
import { CgroupTree, type CgroupTreeState } from './cgroup-tree.js';
import { findMissingCpus, findUnpinnedGateways } from './cpu-demands.js';
import {
  findIsolation,
  type Isolation,
  type IsolationSettings,
  knownIsolation,
} from './isolation.js';
import { Launchers } from './launchers.js';
import type { CgroupLimits, ServiceCgroup } from './service-cgroup.js';
import { restoreVps, type Vps, type VpsState } from './vps.js';

export type MachineSettings = Omit<IsolationSettings, 'cgroups'> & {
  /** Root of a user namespace only (user_namespaces(7)), or no root at all. */
  readonly isRootless: boolean;
};

/** What an upgraded supervisor goes on with. */
export interface MachineState {
  readonly whyNoIsolation: string | null;
  readonly home: VpsState | null;
  readonly cgroups: CgroupTreeState | null;
}

type Rlimits = Service['run']['rlimits'];

/** What rouse isolates and limits with here: all of it tried, and owned until `close`. */
export class Machine {
  private constructor(
    private readonly settings: MachineSettings,
    readonly isolation: Isolation,
    readonly cgroups: CgroupTree | null,
    readonly launchers: Launchers,
    /** Where the launcher waits when it can't come back to the host's namespaces. */
    private readonly home: Vps | null,
    readonly capabilities: Capabilities,
  ) {}

  /** Rejects with a `RouseError` of code `isolation` where `enforce: required` can't be kept. */
  static async open(
    settings: MachineSettings,
    earlier: MachineState | null = null,
  ): Promise<Machine> {
    const { enforce, isRootless, log } = settings;
    const cgroups = enforce === 'none' ? 'enforce: none' : await openCgroups();
    const tree = typeof cgroups === 'string' ? null : cgroups;
    if (earlier?.cgroups) tree?.restore(earlier.cgroups);
    try {
      const isolation = earlier
        ? knownIsolation({ ...settings, cgroups: tree }, earlier.whyNoIsolation)
        : await findIsolation({ ...settings, cgroups: tree });
      const isHeld = isolation.planFor !== null;
      const home = isRootless && isHeld ? await openHome(isolation, earlier) : null;
      const options = {
        homePidfd: home?.target.vpsPidfd ?? null,
        isFiltered: enforce !== 'none',
        holdsAffinities: !tree?.controllers.has('cpuset'),
      };
      const { launchers, whyNoFilter } = await createLaunchers(options);
      const capabilities = findCapabilities({
        whyNoNamespaces: isHeld ? null : isolation.whyNot,
        whyNoFilter,
        cgroups,
        isRootless,
      });
      if (whyNoFilter !== null && enforce !== 'none') {
        const what = `the system-call filter cannot be had here: ${whyNoFilter}`;
        if (enforce === 'required')
          throw new RouseError('isolation', `${what}; set enforce: best-effort to run without`);
        log.warn({ event: 'unfiltered' }, what);
      }
      return new Machine(settings, isolation, tree, launchers, home, capabilities);
    } catch (error) {
      await tree?.close();
      throw error;
    }
  }

  state(): MachineState {
    return {
      whyNoIsolation: this.isolation.whyNot,
      home: this.home?.state() ?? null,
      cgroups: this.cgroups?.state() ?? null,
    };
  }

  /** What isolates gateways, in words. */
  get description(): string {
    const { namespaces, users, filter } = this.capabilities;
    if (namespaces.by === null) return `none: ${namespaces.reason}`;
    const parts = [
      'mount, pid, net (empty), ipc, uts and cgroup namespaces',
      users.by === null ? "rouse's own user" : 'a user of its own',
      'no capabilities; no_new_privs',
      filter.by === null ? 'NO system-call filter' : 'system-call filter',
    ];
    return parts.join('; ');
  }

  /** What a config asks for and can't be had here, one sentence each. */
  unenforcedOf({ services, gateways }: Pick<Config, 'services' | 'gateways'>): string[] {
    return [
      ...services.flatMap((service) => findUnenforceable(service, this.capabilities)),
      ...findUnpinnedGateways(gateways, this.capabilities),
    ];
  }

  /** What a config asks for and can't be had is an error by name, or with `best-effort` a warning. */
  checkEnforceable(config: Pick<Config, 'services' | 'gateways' | 'enforce'>): void {
    if (config.enforce === 'none') return;
    for (const what of findMissingCpus(config, availableCpus()))
      throw new RouseError('isolation', what);
    for (const what of this.unenforcedOf(config)) {
      if (config.enforce === 'required')
        throw new RouseError('isolation', `${what}; or set enforce: best-effort`);
      this.settings.log.warn({ event: 'unenforced' }, what);
    }
  }

  /** Sets those of a service's limits that its cgroup holds here. */
  async limit(
    { resources, cpus }: Pick<Service, 'resources' | 'cpus'>,
    cgroup: ServiceCgroup,
  ): Promise<void> {
    const { memoryBytes, cpuPercent, tasks, ioWeight } = resources;
    const has = (name: Parameters<CgroupTree['controllers']['has']>[0]) =>
      this.cgroups?.controllers.has(name) ?? false;
    const limits: Partial<CgroupLimits> = {
      ...(memoryBytes !== null && has('memory') && { memoryBytes }),
      ...(cpuPercent !== null && has('cpu') && { cpuPercent }),
      ...(tasks !== null && has('pids') && { tasks }),
      ...(ioWeight !== null && has('io') && { ioWeight }),
      ...(cpus.length > 0 && has('cpuset') && { cpus }),
    };
    await cgroup.limit(limits);
  }

  /** Changes limits of an instance that runs. Rejects with `isolation` where the kernel refuses. */
  async change(
    service: Service,
    changes: Partial<Service['resources']>,
    cgroup: ServiceCgroup | null,
    processes: () => readonly number[],
  ): Promise<void> {
    const { tasks, ...others } = changes;
    const countsByUser = isCountedByUser(this.capabilities.tasks);
    await cgroup?.limit(countsByUser ? others : changes);
    if (tasks === undefined || !countsByUser) return;
    // Twice: what is forked meanwhile has the old limit.
    for (const pid of [...processes(), ...processes()]) {
      if (setProcessLimit(pid, tasks)) continue;
      const what = `service ${service.name}: tasks cannot be changed while it runs`;
      const advice = 'grant CAP_SYS_RESOURCE to rouse, or change resources.tasks and restart it';
      throw new RouseError('isolation', `${what}: the kernel refuses; ${advice}`);
    }
  }

  /** The rlimits of a service's processes: its own, and those that stand for limits. */
  rlimitsOf({ run, resources }: Service): Rlimits {
    const { descriptors, tasks } = resources;
    const both = (value: number) => ({ soft: value, hard: value });
    const countsByUser =
      this.settings.enforce !== 'none' &&
      run.user === null &&
      isCountedByUser(this.capabilities.tasks);
    return {
      ...run.rlimits,
      ...(descriptors !== null && { nofile: both(descriptors) }),
      ...(tasks !== null && countsByUser && { nproc: both(tasks) }),
    };
  }

  async close(): Promise<void> {
    await this.launchers.close();
    await this.home?.dispose();
    await this.cgroups?.close();
  }
}

function openHome(isolation: Isolation, earlier: MachineState | null): Vps | Promise<Vps> {
  return earlier?.home ? restoreVps(earlier.home) : isolation.buildGatewayVps('home', []);
}

async function openCgroups(): Promise<CgroupTree | string> {
  try {
    return await CgroupTree.open();
  } catch (error) {
    return messageOf(error);
  }
}

async function createLaunchers(
  options: Parameters<typeof Launchers.create>[0],
): Promise<{ launchers: Launchers; whyNoFilter: string | null }> {
  if (!options.isFiltered)
    return { launchers: await Launchers.create(options), whyNoFilter: 'enforce: none' };
  try {
    return { launchers: await Launchers.create(options), whyNoFilter: null };
  } catch (error) {
    const launchers = await Launchers.create({ ...options, isFiltered: false });
    return { launchers, whyNoFilter: messageOf(error) };
  }
}
