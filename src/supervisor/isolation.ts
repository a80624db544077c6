import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Enforce, Service } from '../config/model.js';
import { findGatewayPaths, gatewayVpsArguments } from './gateway-vps-plan.js';
import { findCommand, findHelper, hostFiles } from './host-files.js';
import { findProgramPaths } from './program-paths.js';
import { systemPath } from './system-path.js';
import { HeldVps, HostVps, type Vps, type VpsPlan } from './vps.js';
import { checkPlan, hostnameOf, serviceVpsArguments } from './vps-plan.js';

export interface IsolationSettings {
  readonly enforce: Enforce;
  readonly runtimeDir: string;
  readonly stateDir: string;
  readonly packageRoot: string;
  readonly log: Logger;
}

/** What separates services from each other and from the host here, found out by trying. */
export interface Isolation {
  /** For `rouse status`: in words. */
  readonly description: string;
  /** null: there is none. */
  readonly planFor: ((service: Service, notifyDirectory: string | null) => VpsPlan) | null;
  readonly buildGatewayVps: (name: string) => Promise<Vps>;
  /** As a gateway's, but in the host's network. */
  readonly buildEgressVps: () => Promise<Vps>;
}

/**
 * Tries to build a VPS. Where that fails: a `RouseError` of code `isolation` if the config requires
 * it, else no isolation, said in the log.
 */
export async function findIsolation(settings: IsolationSettings): Promise<Isolation> {
  if (settings.enforce === 'none') return NO_ISOLATION;
  try {
    const isolation = heldIsolation(settings);
    await (await isolation.buildGatewayVps('probe')).dispose();
    return isolation;
  } catch (error) {
    const advice = 'install bubblewrap and allow namespaces, or set enforce: best-effort to run without';
    if (settings.enforce === 'required') {
      throw new RouseError('isolation', `this machine isolates nothing: ${messageOf(error)}; ${advice}`);
    }
    settings.log.warn(
      { event: 'unisolated' },
      `NO ISOLATION: gateways and services share this host's processes, files and network (${messageOf(error)})`,
    );
    return NO_ISOLATION;
  }
}

const NO_ISOLATION: Isolation = {
  description: 'none',
  planFor: null,
  buildGatewayVps: async () => new HostVps(),
  buildEgressVps: async () => new HostVps(),
};

function heldIsolation({ packageRoot, runtimeDir, stateDir }: IsolationSettings): Isolation {
  const bubblewrap = findHelper('bwrap', 'bubblewrap');
  const command = [findHelper('cat', 'coreutils')];
  const readable = findGatewayPaths(process.execPath, packageRoot, hostFiles);
  return {
    description: 'mount, pid, net (empty), ipc, uts and cgroup namespaces; no capabilities; no_new_privs',
    planFor: (service, notifyDirectory) => {
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
        extraTmpfs: unixDirectoriesOf(service),
        command,
      };
      const [problem] = checkPlan(request, hostFiles);
      if (problem) throw problem;
      const bwrapArguments = serviceVpsArguments(request, hostFiles);
      return { name: service.name, bubblewrap, arguments: bwrapArguments, network: service.isolation.network };
    },
    buildGatewayVps: (name) =>
      HeldVps.build({
        name: `gateway ${name}`,
        bubblewrap,
        arguments: gatewayVpsArguments({ hostname: hostnameOf(`gateway-${name}`), network: 'none', readable, command }, hostFiles),
        network: 'private',
      }),
    buildEgressVps: () =>
      HeldVps.build({
        name: 'egress',
        bubblewrap,
        arguments: gatewayVpsArguments({ hostname: 'egress', network: 'host', readable, command }, hostFiles),
        network: 'host',
      }),
  };
}

function programPathsOf(service: Service): readonly string[] {
  const { command, directory, environment } = service.run;
  const searchPath = environment['PATH'] ?? systemPath();
  const path = findCommand(command[0] ?? '', searchPath, directory ?? '/');
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
