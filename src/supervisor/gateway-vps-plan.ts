import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type HostFiles, isWithin } from './host-files.js';
import { bindMounts, type Mount, mountArguments, orderMounts } from './mounts.js';
import { RESOLVER_FILE_NAMES } from './resolver-files.js';
import { holderArguments } from './vps-plan.js';

export interface GatewayVpsRequest {
  readonly hostname: string;
  /** The host's, with what it takes to resolve names there: see `ResolverFiles`. */
  readonly network: 'none' | { readonly resolverDirectory: string };
  /** See {@link findGatewayPaths}. */
  readonly readable: readonly string[];
  readonly command: readonly string[];
}

const NAMESPACES = ['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'];

const RESOLVER_DIRECTORY = '/run/resolver';

/** Where programs and libraries are looked for outside /usr; symlinks into it on merged systems. */
const SYSTEM_FOLDERS = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/** There a program's libraries lie in folders of their own. */
const NIX_STORE = '/nix/store';

/**
 * bubblewrap's arguments for a designated VPS's holder: a read-only root that starts empty and gets
 * /usr, what node and rouse consist of, /proc and /dev, and nothing of any service. Gateways have
 * no network.
 */
export function gatewayVpsArguments(request: GatewayVpsRequest, host: HostFiles): string[] {
  const system = [
    '/usr',
    ...SYSTEM_FOLDERS,
    '/etc/ld.so.cache',
    '/etc/ssl/openssl.cnf',
    '/etc/localtime',
  ];
  const paths = [...system, ...request.readable].filter(host.exists);
  const mounts = orderMounts([
    { kind: 'tmpfs', path: '/', mode: 0o755, sealed: false, where: 'always' },
    ...paths.flatMap((path) => bindMounts('ro', path, 'hidden', host)),
    ...(request.network === 'none' ? [] : resolverMounts(request.network.resolverDirectory)),
  ]);
  return [
    ...NAMESPACES,
    ...(request.network === 'none' ? ['--unshare-net'] : []),
    ...['--hostname', request.hostname],
    ...mountArguments(mounts),
    ...['--proc', '/proc', '--dev', '/dev', '--remount-ro', '/dev', '--remount-ro', '/'],
    ...holderArguments(request.command),
  ];
}

/** The directory is mounted, and the files are symlinks into it, so that it can get new ones. */
function resolverMounts(source: string): Mount[] {
  const links = RESOLVER_FILE_NAMES.map((name): Mount => {
    const target = `${RESOLVER_DIRECTORY}/${name}`;
    return { kind: 'symlink', path: `/etc/${name}`, target, where: 'always' };
  });
  return [{ kind: 'ro', source, path: RESOLVER_DIRECTORY, where: 'always' }, ...links];
}

/**
 * What a gateway reads besides /usr: node and its libraries, and of rouse's package its code and the
 * `node_modules` folders in which its dependencies are found.
 */
export function findGatewayPaths(
  execPath: string,
  packageRoot: string,
  host: HostFiles,
): readonly string[] {
  const node = host.realpath(execPath);
  const libraries = isWithin(node, NIX_STORE) ? NIX_STORE : join(dirname(dirname(node)), 'lib');
  const own = ['package.json', 'dist'].map((name) => join(packageRoot, name));
  const modules = dependenciesOf(packageRoot).flatMap((name) =>
    modulesFolders(name, packageRoot, host),
  );
  const paths = new Set([node, libraries, ...own, ...modules]);
  return [...paths].filter((path) => !isWithin(path, '/usr') && host.exists(path));
}

function dependenciesOf(packageRoot: string): string[] {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  const { dependencies = {} } = manifest as { dependencies?: Record<string, string> };
  return Object.keys(dependencies);
}

/** The folder that Node finds a package in from another one's place, and the one it really lies in (pnpm). */
function modulesFolders(name: string, from: string, host: HostFiles): string[] {
  for (let folder = from; ; folder = dirname(folder)) {
    const modules = join(folder, 'node_modules');
    if (host.exists(join(modules, name))) {
      const real = /^.*?\/node_modules(?=\/)/.exec(host.realpath(join(modules, name)))?.[0];
      return real === undefined ? [modules] : [modules, real];
    }
    if (folder === '/') return [];
  }
}
