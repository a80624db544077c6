import { accessSync, constants, existsSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { RouseError } from '../base/errors.js';

/** Trees of the host that no service sees anything of but what is bound into them for it. */
const HIDDEN_TREES = [
  { path: '/home', writable: false },
  { path: '/root', writable: false },
  { path: '/run', writable: true },
  { path: '/tmp', writable: true },
  { path: '/var/tmp', writable: true },
] as const;

/** What plans ask about the host's files; injected, so that plans are functions of their arguments. */
export interface HostFiles {
  exists(path: string): boolean;
  isDirectory(path: string): boolean;
  /** Without symlinks as far as it exists, the rest as it is. */
  realpath(path: string): string;
  /** What a symlink says; null for anything else. */
  readlink(path: string): string | null;
}

/** The files of this host. */
export const hostFiles: HostFiles = {
  exists: existsSync,
  isDirectory: (path) => attempt(() => statSync(path).isDirectory()) ?? false,
  realpath,
  readlink: (path) => attempt(() => readlinkSync(path)),
};

function realpath(path: string): string {
  const found = attempt(() => realpathSync(path));
  if (found !== null || path === dirname(path)) return found ?? path;
  return join(realpath(dirname(path)), basename(path));
}

/** The hidden trees of a host: those that exist, without symlinks; in the writable ones a VPS has its own. */
export function hiddenTreesOf(host: HostFiles): { path: string; writable: boolean }[] {
  const trees = HIDDEN_TREES.filter(({ path }) => host.exists(path));
  const byPath = new Map(trees.map((tree) => [host.realpath(tree.path), tree.writable]));
  return [...byPath].map(([path, writable]) => ({ path, writable }));
}

/** Whether a path is `tree` or lies in it; by its text alone. */
export function isWithin(path: string, tree: string): boolean {
  return path === tree || path.startsWith(tree === '/' ? '/' : `${tree}/`);
}

/** The path of a program that rouse itself needs. Throws `isolation` with the package that has it. */
export function findHelper(command: string, debianPackage: string): string {
  const searchPath = `${process.env.PATH ?? ''}:/usr/bin:/bin:/usr/sbin:/sbin`;
  const found = searchPath
    .split(':')
    .filter(isAbsolute)
    .map((entry) => join(entry, command))
    .find(isExecutableFile);
  if (found !== undefined) return found;
  throw new RouseError(
    'isolation',
    `cannot find ${command} in PATH; install it (Debian: apt-get install ${debianPackage})`,
  );
}

function isExecutableFile(path: string): boolean {
  return (
    attempt(() => {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    }) === true
  );
}

/** Whether there is a regular file, perhaps behind symlinks. */
export function isFile(path: string): boolean {
  return attempt(() => statSync(path).isFile()) ?? false;
}

/** For probes where every error means: not there, or not for us. */
function attempt<T>(probe: () => T): T | null {
  try {
    return probe();
  } catch {
    return null;
  }
}
