import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { ROOT } from './root.mjs';
import { giveUp, say } from './say.mjs';

const read = (file) => JSON.parse(readFileSync(`${ROOT}${file}`, 'utf8'));

/** Why an installation is needed; null when node_modules holds what the lock file says. */
function findOutdated() {
  if (!existsSync(`${ROOT}node_modules/.package-lock.json`)) return 'node_modules is missing';
  const wanted = read('package-lock.json').packages;
  const installed = read('node_modules/.package-lock.json').packages;
  for (const [path, { version, optional, link }] of Object.entries(wanted)) {
    if (path === '' || optional || link) continue;
    if (installed[path]?.version !== version) return `${path} is not at ${version}`;
  }
  return null;
}

/**
 * Installs the npm packages of the lock file where they are missing or out of date. Not by `npm ci`,
 * which refuses a lock file without the optional packages of every platform there is: this one has
 * those of the platforms that rouse runs on.
 */
export function ensureNodeModules() {
  const reason = findOutdated();
  if (reason === null) return;
  say(`npm install: ${reason}`);
  const { status } = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund'], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (status !== 0) giveUp('npm install failed; see above');
}
