import type { Service } from '../config/model.js';
import type { CgroupTree, Controller } from './cgroup-tree.js';

/** What a machine may or may not be able to enforce. */
export type Capability =
  | 'namespaces'
  | 'users'
  | 'filter'
  | 'memory'
  | 'cpu'
  | 'tasks'
  | 'io'
  | 'tmp'
  | 'descriptors'
  | 'cpus'
  | 'freeze'
  | 'reclaim';

/** Each in words. */
export const CAPABILITY_WORDS: Readonly<Record<Capability, string>> = {
  namespaces: 'namespaces',
  users: 'a user for each service',
  filter: 'system-call filter',
  memory: 'resources.memory',
  cpu: 'resources.cpu',
  tasks: 'resources.tasks',
  io: 'resources.io',
  tmp: 'resources.tmp',
  descriptors: 'resources.descriptors',
  cpus: 'cpus',
  freeze: 'idle.freeze',
  reclaim: 'idle.reclaim',
};

/** One of them here: by what, or why not and what would help. */
export type Finding =
  | { readonly by: string }
  | { readonly by: null; readonly reason: string; readonly remedy: string };

export type Capabilities = Readonly<Record<Capability, Finding>>;

/** What was tried, from which the rest follows. */
export interface Trials {
  /** null: namespaces can be had; else why not. */
  readonly whyNoNamespaces: string | null;
  readonly whyNoFilter: string | null;
  /** The tree, or why there is none. */
  readonly cgroups: CgroupTree | string;
  /** Root of a user namespace that maps one id, or no root at all. */
  readonly isRootless: boolean;
}

const NAMESPACES_REMEDY = 'install bubblewrap and allow user namespaces, or run as root';
const FILTER_REMEDY = 'use a kernel with CONFIG_SECCOMP_FILTER on x64 or arm64';
const CGROUP_REMEDY =
  'mount cgroup2 with its controllers (systemd.unified_cgroup_hierarchy=1), and start rouse in a cgroup of its own (systemd: Delegate=yes)';

const IO_REMEDY =
  'have bfq schedule the disk (/sys/block/DISK/queue/scheduler), or enable io.cost.qos for it';

/** The table of what this machine can enforce. */
export function findCapabilities(trials: Trials): Capabilities {
  const { whyNoNamespaces, whyNoFilter, cgroups, isRootless } = trials;
  const affinity = whyNoFilter === null ? 'affinity, and a filter on changing it' : null;
  const cpuset = controller(cgroups, 'cpuset', 'cpuset.cpus');
  const features = typeof cgroups === 'string' ? null : cgroups.features();
  const io = controller(cgroups, 'io', 'io.weight');
  const reclaim = controller(cgroups, 'memory', 'memory.reclaim');
  return {
    namespaces:
      whyNoNamespaces === null
        ? { by: 'mount, pid, net, ipc, uts and cgroup namespaces' }
        : { by: null, reason: whyNoNamespaces, remedy: NAMESPACES_REMEDY },
    users: isRootless
      ? { by: null, reason: 'this user namespace maps one user', remedy: 'run rouse as root' }
      : { by: 'a user id for each service, no capabilities, no_new_privs' },
    filter:
      whyNoFilter === null
        ? { by: 'seccomp' }
        : { by: null, reason: whyNoFilter, remedy: FILTER_REMEDY },
    memory: controller(cgroups, 'memory', 'memory.max'),
    cpu: controller(cgroups, 'cpu', 'cpu.max'),
    tasks: findTasks(trials),
    io: unless(features?.whyNoIoWeight, IO_REMEDY, io),
    tmp:
      whyNoNamespaces === null
        ? { by: 'the size of a tmpfs' }
        : { by: null, reason: 'there is no private /tmp', remedy: NAMESPACES_REMEDY },
    descriptors: { by: 'RLIMIT_NOFILE' },
    cpus: cpuset.by !== null || affinity === null ? cpuset : { by: affinity },
    freeze: { by: features?.freeze ? 'cgroup.freeze' : 'SIGSTOP to each process' },
    reclaim: unless(features?.whyNoReclaim, 'use Linux 5.19 or later', reclaim),
  };
}

/** What there is, unless something else stands in the way. */
function unless(reason: string | null | undefined, remedy: string, found: Finding): Finding {
  return found.by === null || !reason ? found : { by: null, reason, remedy };
}

function controller(cgroups: CgroupTree | string, name: Controller, file: string): Finding {
  if (typeof cgroups === 'string') return { by: null, reason: cgroups, remedy: CGROUP_REMEDY };
  if (cgroups.controllers.has(name)) return { by: `${file} of its cgroup` };
  const reason = cgroups.whyNotMore ?? `the ${name} controller cannot be enabled`;
  return { by: null, reason, remedy: CGROUP_REMEDY };
}

/** Without the controller the kernel counts by user: that does where a service has one of its own. */
function findTasks({ cgroups, isRootless }: Trials): Finding {
  const found = controller(cgroups, 'pids', 'pids.max');
  return found.by !== null || isRootless ? found : { by: 'RLIMIT_NPROC of a user of its own' };
}

/** A key of a service that asks for a capability. */
interface Demand {
  readonly key: string;
  readonly capability: Capability;
}

/** What a service's config asks for by name. */
function demandsOf({ resources, idle, cpus }: Service): Demand[] {
  const { memoryBytes, cpuPercent, tasks, ioWeight, tmpBytes, descriptors } = resources;
  const demands: [boolean, string, Capability][] = [
    [memoryBytes !== null, 'resources.memory', 'memory'],
    [cpuPercent !== null, 'resources.cpu', 'cpu'],
    [tasks !== null, 'resources.tasks', 'tasks'],
    [ioWeight !== null, 'resources.io', 'io'],
    [tmpBytes !== null, 'resources.tmp', 'tmp'],
    [descriptors !== null, 'resources.descriptors', 'descriptors'],
    [idle.reclaim, 'idle.reclaim', 'reclaim'],
    [cpus.length > 0, 'cpus', 'cpus'],
  ];
  return demands.flatMap(([isAsked, key, capability]) => (isAsked ? [{ key, capability }] : []));
}

/** What a service asks for and can't have here: one sentence each, with the remedy. */
export function findUnenforceable(service: Service, capabilities: Capabilities): string[] {
  return demandsOf(service).flatMap(({ key, capability }) => {
    const finding = findingFor(service, capability, capabilities);
    if (finding.by !== null) return [];
    return [
      `service ${service.name}: ${key} cannot be enforced here: ${finding.reason}; ${finding.remedy}`,
    ];
  });
}

/** Of a capability for one service. */
export function findingFor(
  service: Service,
  capability: Capability,
  capabilities: Capabilities,
): Finding {
  const finding = capabilities[capability];
  const isShared = capability === 'tasks' && isCountedByUser(finding) && service.run.user !== null;
  if (!isShared) return finding;
  const reason = 'there is no pids controller, and others may use its user too';
  return { by: null, reason, remedy: 'leave run.user out, for one of its own' };
}

/** Whether tasks are counted by user, and not in a cgroup. */
export function isCountedByUser(tasks: Finding): boolean {
  return tasks.by?.startsWith('RLIMIT') ?? false;
}
