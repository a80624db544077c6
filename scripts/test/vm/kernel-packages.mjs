// Kernels for virtual machines: Debian packages, unpacked in the cache and never installed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { say } from '../../prepare/say.mjs';
import { CACHE } from '../cache.mjs';

/** What a command prints; null where it fails or can't be run. */
function outputOf(command, args, cwd) {
  const { status, stdout } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return status === 0 ? stdout : null;
}

/** What the package that only names the newest kernel depends on; other packages themselves. */
function newestOf(name) {
  const depends = outputOf('apt-cache', ['depends', name]);
  if (depends === null || depends === '') return null;
  const [, newest] = /Depends: (linux-image-\S+)/.exec(depends) ?? [];
  return newest ?? name;
}

function unpack(directory) {
  const archives = readdirSync(directory).filter((name) => name.endsWith('.deb'));
  return archives.every((name) => {
    const isDone = outputOf('dpkg', ['-x', name, '.'], directory) !== null;
    rmSync(join(directory, name));
    return isDone;
  });
}

/** Built aside and renamed: what is there is complete. */
function fetchInto(directory, packages) {
  mkdirSync(CACHE, { recursive: true });
  const aside = mkdtempSync(`${directory}.`);
  say(`fetching ${packages.join(', ')} into ${CACHE}`);
  const isFetched = outputOf('apt-get', ['-qq', 'download', ...packages], aside) !== null;
  if (isFetched && unpack(aside) && !existsSync(directory)) renameSync(aside, directory);
  else rmSync(aside, { recursive: true });
  return existsSync(directory);
}

/**
 * The directory that holds what these packages install, fetched where it isn't there yet; null where
 * they can't be had.
 */
export function ensureUnpacked(names) {
  const tryOnce = () => {
    const packages = names.map(newestOf);
    if (packages.includes(null)) return null;
    const directory = join(CACHE, packages.join('+'));
    return existsSync(directory) || fetchInto(directory, packages) ? directory : null;
  };
  return tryOnce() ?? (outputOf('apt-get', ['-qq', 'update']) === null ? null : tryOnce());
}
