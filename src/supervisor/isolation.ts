import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { findCommand, systemPath } from '../config/find-command.js';
import type { Enforce, Service } from '../config/model.js';
import type { CgroupTree } from './cgroup-tree.js';
import { findGatewayPaths, gatewayVpsArguments } from './gateway-vps-plan.js';
import { findHelper, hostFiles } from './host-files.js';
import { findProgramPaths } from './program-paths.js';
import { ServiceCgroup } from './service-cgroup.js';
import { HeldVps, HostVps, type Vps, type VpsPlan } from './vps.js';
import { checkPlan, hostnameOf, serviceVpsArguments } from './vps-plan.js';

export interface IsolationSettings {
  readonly enforce: Enforce;
  readonly runtimeDir: string;
  readonly stateDir: string;
  readonly packageRoot: string;
  /** null: there are none to be had. */
  readonly cgroups: CgroupTree | null;
  readonly log: Logger;
}

/** What was made for one VPS of a service. */
export interface VpsPlaces {
  readonly notifyDirectory: string | null;
  readonly cgroup: ServiceCgroup | null;
  /** Writable, at the same path; null: none. */
  readonly stateDirectory: string | null;
}

/** What separates services from each other and from the host here, found out by trying. */
export interface Isolation {
  /** null: there is none. */
  readonly planFor: ((service: Service, places: VpsPlaces) => VpsPlan) | null;
  /** `whyNot`: why there is none; null otherwise. */
  readonly whyNot: string | null;
  readonly buildGatewayVps: (name: string, cpus: readonly number[]) => Promise<Vps>;
  /** As a gateway's, but in the host's network. */
  readonly buildEgressVps: (resolverDirectory: string) => Promise<Vps>;
}

/**
 * Tries to build a VPS. Where that fails: a `RouseError` of code `isolation` if the config requires
 * it, else no isolation, said in the log.
 */
export async function findIsolation(settings: IsolationSettings): Promise<Isolation> {
  if (settings.enforce === 'none') return noIsolation(settings, 'enforce: none');
  try {
    const isolation = heldIsolation(settings);
    await (await isolation.buildGatewayVps('probe', [])).dispose();
    return isolation;
  } catch (error) {
    const advice =
      'install bubblewrap and allow namespaces, or set enforce: best-effort to run without';
    if (settings.enforce === 'required') {
      throw new RouseError(
        'isolation',
        `this machine isolates nothing: ${messageOf(error)}; ${advice}`,
      );
    }
    settings.log.warn(
      { event: 'unisolated' },
      `NO ISOLATION: gateways and services share this host's processes, files and network (${messageOf(error)})`,
    );
    return noIsolation(settings, messageOf(error));
  }
}

/** What an earlier self of this process has found: it isn't tried again. */
export function knownIsolation(settings: IsolationSettings, whyNot: string | null): Isolation {
  return whyNot === null ? heldIsolation(settings) : noIsolation(settings, whyNot);
}

function noIsolation({ cgroups }: IsolationSettings, whyNot: string): Isolation {
  return {
    whyNot,
    planFor: null,
    buildGatewayVps: async (name, cpus) => new HostVps(await gatewayCgroup(cgroups, name, cpus)),
    buildEgressVps: async () => new HostVps(createCgroup(cgroups, 'egress')),
  };
}

/** A cgroup of a name of its own; null where there are none. */
export function createCgroup(cgroups: CgroupTree | null, name: string): ServiceCgroup | null {
  return cgroups && new ServiceCgroup(cgroups.create(name));
}

async function gatewayCgroup(
  cgroups: CgroupTree | null,
  name: string,
  cpus: readonly number[],
): Promise<ServiceCgroup | null> {
  const cgroup = createCgroup(cgroups, `gateway-${name}`);
  if (cpus.length > 0 && cgroups?.controllers.has('cpuset')) await cgroup?.limit({ cpus });
  return cgroup;
}

function heldIsolation({
  packageRoot,
  runtimeDir,
  stateDir,
  cgroups,
}: IsolationSettings): Isolation {
  const bubblewrap = findHelper('bwrap', 'bubblewrap');
  const command = [findHelper('cat', 'coreutils')];
  const readable = findGatewayPaths(process.execPath, packageRoot, hostFiles);
  return {
    whyNot: null,
    planFor: (service, { notifyDirectory, cgroup, stateDirectory }) => {
      const request = {
        name: service.name,
        hostname: hostnameOf(service.name),
        network: service.isolation.network,
        directory: service.run.directory,
        readable: service.isolation.readable,
        writable: service.isolation.writable,
        hidden: service.isolation.hidden,
        programReadable: programPathsOf(service),
        stateRoot: stateDir,
        runtimeRoot: runtimeDir,
        notifyDirectory,
        cgroupDirectory: cgroup?.directory ?? null,
        tmpBytes: service.resources.tmpBytes,
        stateDirectory,
        extraTmpfs: unixDirectoriesOf(service),
        command,
      };
      const [problem] = checkPlan(request, hostFiles);
      if (problem) throw problem;
      const bwrapArguments = serviceVpsArguments(request, hostFiles);
      return {
        name: service.name,
        bubblewrap,
        arguments: bwrapArguments,
        network: service.isolation.network,
        dialledPorts: service.upstreams.flatMap((to) => (to.kind === 'tcp' ? [to.port] : [])),
        cgroup,
      };
    },
    buildGatewayVps: async (name, cpus) =>
      HeldVps.build({
        name: `gateway ${name}`,
        bubblewrap,
        arguments: gatewayVpsArguments(
          { hostname: hostnameOf(`gateway-${name}`), network: 'none', readable, command },
          hostFiles,
        ),
        network: 'private',
        dialledPorts: [],
        cgroup: await gatewayCgroup(cgroups, name, cpus),
      }),
    buildEgressVps: (resolverDirectory) =>
      HeldVps.build({
        name: 'egress',
        bubblewrap,
        arguments: gatewayVpsArguments(
          { hostname: 'egress', network: { resolverDirectory }, readable, command },
          hostFiles,
        ),
        network: 'host',
        dialledPorts: [],
        cgroup: createCgroup(cgroups, 'egress'),
      }),
  };
}

function programPathsOf(service: Service): readonly string[] {
  const { command, directory, environment } = service.run;
  const searchPath = environment.PATH ?? systemPath();
  const path = findCommand(command[0] ?? '', searchPath, directory);
  if (path === null) return [];
  return findProgramPaths({ path, arguments: command.slice(1), directory, searchPath }).readable;
}

/** Directories of Unix upstreams under /run exist and can be written, as servers expect. */
function unixDirectoriesOf(service: Service): string[] {
  return service.upstreams.flatMap((upstream) => {
    if (upstream.kind !== 'unix') return [];
    const directory = upstream.path.slice(0, upstream.path.lastIndexOf('/'));
    return /^\/(run|var\/run)\/./.test(directory) ? [directory] : [];
  });
}
