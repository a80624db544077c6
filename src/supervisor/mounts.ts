import { dirname, resolve, sep } from 'node:path';
import { type HostFiles, isWithin } from './host-files.js';

/** When a mount is made: always, or only where what lies above it is hidden, or is visible. */
type Where = 'always' | 'hidden' | 'visible';

/** One mount (or symlink) in a VPS. Paths have no symlinks on the way to them. */
export type Mount = { readonly path: string; readonly where: Where } & (
  | { readonly kind: 'ro' | 'rw'; readonly source: string }
  /** Empty; `sealed`: nobody can write to it. Without a size: the kernel's default. */
  | {
      readonly kind: 'tmpfs';
      readonly mode: number;
      readonly sealed: boolean;
      readonly sizeBytes?: number | null;
    }
  /** A file that can't be opened. */
  | { readonly kind: 'null' }
  | { readonly kind: 'symlink'; readonly target: string }
);

/** As many as the kernel follows (path_resolution(7)). */
const MAX_SYMLINKS = 40;

/**
 * A path of the host at the same place in a VPS. The symlinks on the way to it are made anew where
 * they are hidden, so that the path means in there what it means outside.
 */
export function bindMounts(
  kind: 'ro' | 'rw',
  path: string,
  where: Where,
  host: HostFiles,
): Mount[] {
  const mounts: Mount[] = [];
  let current = resolve(path);
  for (let hops = 0; hops < MAX_SYMLINKS; hops += 1) {
    const link = firstSymlink(current, host);
    if (link === null) break;
    mounts.push({ kind: 'symlink', path: link.path, target: link.target, where: 'hidden' });
    current = resolve(dirname(link.path), link.target, `.${current.slice(link.path.length)}`);
  }
  return [...mounts, { kind, path: current, source: current, where }];
}

/** Hides a path of the host: nothing in it, and no writing to it. */
export function hideMount(path: string, where: Where, host: HostFiles): Mount {
  const realPath = host.realpath(path);
  return host.isDirectory(realPath)
    ? { kind: 'tmpfs', path: realPath, mode: 0o755, sealed: true, where }
    : { kind: 'null', path: realPath, where };
}

/**
 * Brings mounts into an order in which none covers another that was meant: parents first. Of several
 * on one path the last given stays; what isn't needed at its place is left out.
 */
export function orderMounts(mounts: readonly Mount[]): Mount[] {
  const byPath = new Map(mounts.map((mount) => [mount.path, mount]));
  const sorted = [...byPath.values()].toSorted((a, b) => depth(a.path) - depth(b.path));
  const kept: Mount[] = [];
  for (const mount of sorted) {
    const above = kept.findLast((other) => isWithin(mount.path, other.path));
    const isHidden = above?.kind === 'tmpfs' || above?.kind === 'null';
    if (mount.where === 'always' || (mount.where === 'hidden') === isHidden) kept.push(mount);
  }
  return kept;
}

/** bubblewrap's options for mounts in their order; what is sealed is sealed when all stand. */
export function mountArguments(mounts: readonly Mount[]): string[] {
  const sealed = mounts.filter((mount) => mount.kind === 'tmpfs' && mount.sealed);
  const options = mounts.flatMap((mount) => [
    ...parentOption(mount, mounts),
    ...mountOption(mount),
  ]);
  return [...options, ...sealed.flatMap(({ path }) => ['--remount-ro', path])];
}

/** bubblewrap makes the folders above a file with mode 0700, which no service could pass. */
function parentOption(mount: Mount, mounts: readonly Mount[]): string[] {
  const parent = dirname(mount.path);
  const isMade = mounts.some(
    ({ kind, path }) => kind === 'tmpfs' && path !== mount.path && isWithin(parent, path),
  );
  return isMade && mount.kind !== 'tmpfs' ? ['--perms', '0755', '--dir', parent] : [];
}

function mountOption(mount: Mount): string[] {
  switch (mount.kind) {
    case 'ro':
      return ['--ro-bind', mount.source, mount.path];
    case 'rw':
      return ['--bind', mount.source, mount.path];
    case 'null':
      return ['--ro-bind', '/dev/null', mount.path];
    case 'symlink':
      return ['--symlink', mount.target, mount.path];
    case 'tmpfs':
      return [
        ...(mount.sizeBytes ? ['--size', `${mount.sizeBytes}`] : []),
        ...['--perms', mount.mode.toString(8).padStart(4, '0'), '--tmpfs', mount.path],
      ];
  }
}

function firstSymlink(path: string, host: HostFiles): { path: string; target: string } | null {
  let current = '';
  for (const name of path.split(sep).filter(Boolean)) {
    current += `/${name}`;
    const target = host.readlink(current);
    if (target !== null) return { path: current, target };
  }
  return null;
}

function depth(path: string): number {
  return path.split(sep).filter(Boolean).length;
}
