import { RouseError } from '../base/errors.js';
import { type HostFiles, hiddenTreesOf } from './host-files.js';
import { bindMounts, hideMount, type Mount, mountArguments, orderMounts } from './mounts.js';

/** Where a service's holder binds the directory of its `NOTIFY_SOCKET`. */
export const NOTIFY_DIRECTORY = '/run/rouse-notify';

export interface VpsRequest {
  /** The service's name, for errors. */
  readonly name: string;
  readonly hostname: string;
  readonly network: 'private' | 'host';
  /** All paths are absolute paths of the host. */
  readonly directory: string | null;
  readonly readable: readonly string[];
  readonly writable: readonly string[];
  readonly hidden: readonly string[];
  /** Of the program itself, see `findProgramPaths`. */
  readonly programReadable: readonly string[];
  /** rouse's own directories: no service sees into them. */
  readonly stateRoot: string;
  readonly runtimeRoot: string;
  /** Bound writable at {@link NOTIFY_DIRECTORY}. */
  readonly notifyDirectory: string | null;
  /** Bound writable at its path; null: none. */
  readonly stateDirectory: string | null;
  /** Its own cgroup, in which programs find their limits; null: they see none. */
  readonly cgroupDirectory: string | null;
  /** Size of each private tmpfs; null: the kernel's default. */
  readonly tmpBytes: number | null;
  /** Private, empty, writable for everybody in the VPS: for instance the directory of a Unix upstream. */
  readonly extraTmpfs: readonly string[];
  /** What the holder runs: `cat`, whose standard input the supervisor holds. */
  readonly command: readonly string[];
}

/** Descriptor of bubblewrap on which it tells the held process's pid and namespaces (`--info-fd`). */
const INFO_FD = 3;

const NAMESPACES = ['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'];

/** Where resolv.conf often points to; in the host's network names must resolve. */
const RESOLVER_DIRECTORIES = ['/run/systemd/resolve', '/run/resolvconf', '/run/NetworkManager'];

const CGROUP_MOUNT = '/sys/fs/cgroup';

const SHARED_MODE = 0o1777;

/**
 * bubblewrap's arguments for the holder of a service's VPS. The host's root is there read-only;
 * hidden trees and rouse's own directories are empty but for what the service needs; /tmp, /var/tmp,
 * /run and /dev/shm are private and writable.
 */
export function serviceVpsArguments(request: VpsRequest, host: HostFiles): string[] {
  return [
    ...NAMESPACES,
    ...(request.network === 'private' ? ['--unshare-net'] : []),
    ...['--hostname', request.hostname],
    ...['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev'],
    ...mountArguments(orderMounts(serviceMounts(request, host))),
    ...holderArguments(request.command),
  ];
}

// Of two on one path the later wins.
function serviceMounts(request: VpsRequest, host: HostFiles): Mount[] {
  const { directory, network, notifyDirectory } = request;
  const bind = (kind: 'ro' | 'rw', where: Mount['where']) => (path: string) =>
    bindMounts(kind, path, where, host);
  const own = (path: string, where: Mount['where']) => privateMount(path, where, request.tmpBytes);
  const resolver = network === 'host' ? RESOLVER_DIRECTORIES : [];
  const implicit = [...resolver, ...request.programReadable].filter(host.exists);
  return [
    ...hiddenTreesOf(host).map(({ path, writable }) =>
      writable ? own(path, 'always') : hideMount(path, 'always', host),
    ),
    own('/dev/shm', 'always'),
    ...cgroupMounts(request.cgroupDirectory, host),
    ...request.extraTmpfs.map((path) => own(host.realpath(path), 'hidden')),
    ...[...implicit, ...(directory === null ? [] : [directory])].flatMap(bind('ro', 'hidden')),
    ...request.readable.flatMap(bind('ro', 'always')),
    ...request.writable.flatMap(bind('rw', 'always')),
    ...[request.stateRoot, request.runtimeRoot]
      .filter(host.exists)
      .map((path) => hideMount(path, 'visible', host)),
    ...stateMounts(request.stateDirectory),
    ...request.hidden.filter(host.exists).map((path) => hideMount(path, 'visible', host)),
    ...notifyMounts(notifyDirectory),
  ];
}

function stateMounts(path: string | null): Mount[] {
  return path === null ? [] : [{ kind: 'rw', source: path, path, where: 'always' }];
}

function notifyMounts(source: string | null): Mount[] {
  if (source === null) return [];
  return [{ kind: 'rw', source, path: NOTIFY_DIRECTORY, where: 'always' }];
}

function privateMount(path: string, where: Mount['where'], sizeBytes: number | null): Mount {
  return { kind: 'tmpfs', path, mode: SHARED_MODE, sealed: false, sizeBytes, where };
}

/** The host's cgroups tell of every service: only the own one is shown, where programs look for limits. */
function cgroupMounts(own: string | null, host: HostFiles): Mount[] {
  if (!host.isDirectory(CGROUP_MOUNT)) return [];
  return own === null
    ? [hideMount(CGROUP_MOUNT, 'always', host)]
    : [{ kind: 'ro', source: own, path: CGROUP_MOUNT, where: 'always' }];
}

/** Which sources of a plan don't exist: one error each, naming service and key. */
export function checkPlan(request: VpsRequest, host: HostFiles): RouseError[] {
  const keys: [string, readonly string[]][] = [
    ['run.directory', request.directory === null ? [] : [request.directory]],
    ['isolation.readable', request.readable],
    ['isolation.writable', request.writable],
  ];
  return keys.flatMap(([key, paths]) =>
    paths.filter((path) => !host.exists(path)).map((path) => missing(request.name, key, path)),
  );
}

/** What every holder has in common: it tells what it built, and dies with the supervisor. */
export function holderArguments(command: readonly string[]): string[] {
  return ['--chdir', '/', '--die-with-parent', '--info-fd', `${INFO_FD}`, '--', ...command];
}

/** A service's name as a host name: letters, digits and hyphens, at most 63 (RFC 1123 2.1). */
export function hostnameOf(service: string): string {
  const label = service.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-/, '');
  return label.slice(0, 63).replace(/-$/, '') || 'service';
}

function missing(service: string, key: string, path: string): RouseError {
  const message = `service ${service}: ${key}: ${path} does not exist; create it, or take it out of the config`;
  return new RouseError('config', message);
}
