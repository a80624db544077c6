// The Debian tree that test/systemd boots: made once with debootstrap and kept for later runs.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasCommand } from '../prepare/debian-packages.mjs';
import { say } from '../prepare/say.mjs';
import { CACHE } from './cache.mjs';

/** systemd 257; `ROUSE_TEST_SUITE=bookworm` tries systemd 252. */
const SUITE = process.env.ROUSE_TEST_SUITE ?? 'trixie';
const PACKAGES = [
  'systemd-sysv',
  'bubblewrap',
  'curl',
  'iproute2',
  'libstdc++6', // node's, which comes from the host
  'procps',
];
/** They would cost each boot time, or fail for want of D-Bus. */
const MASKED = [
  'console-getty.service',
  'getty.target',
  'ldconfig.service',
  'systemd-hostnamed.socket',
  'systemd-journal-catalog-update.service',
  'systemd-logind.service',
  'systemd-update-done.service',
  'systemd-update-utmp.service',
];
const RECIPE = createHash('sha256')
  .update(JSON.stringify([PACKAGES, MASKED]))
  .digest('hex');
const TREE = join(CACHE, `${SUITE}-${RECIPE.slice(0, 8)}`);
const SELF = fileURLToPath(import.meta.url);

/** In the root of every tree: what has it is no host. */
export const TREE_MARK = '/rouse-test-tree';

/** Why no systemd can be booted here, in words; null where nothing is known to stand against it. */
function findObstacle() {
  if (process.getuid() !== 0) return 'it takes root to boot a systemd';
  const needed = { 'systemd-nspawn': 'systemd-container', debootstrap: 'debootstrap' };
  const missing = Object.keys(needed).filter((command) => !hasCommand(command));
  if (missing.length === 0) return null;
  return `not installed: ${missing.map((command) => needed[command]).join(', ')}`;
}

/**
 * The tree, made where there is none yet, which takes a minute or two and tells how it goes.
 * @returns `{ tree, reason }`; one of them is null
 */
export function ensureSystemdTree() {
  const obstacle = findObstacle();
  if (obstacle !== null) return { tree: null, reason: obstacle };
  if (existsSync(TREE)) return { tree: TREE, reason: null };
  mkdirSync(CACHE, { recursive: true });
  // Who finds the lock taken waits, and then finds the tree.
  const command = ['flock', join(CACHE, 'lock'), process.execPath, SELF, 'build'];
  const { status } = spawnSync(command[0], command.slice(1), {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0) return { tree: TREE, reason: null };
  return { tree: null, reason: `debootstrap could not make a ${SUITE} tree, see above` };
}

/** Builds aside and renames: a tree that is there is complete. */
function build() {
  if (existsSync(TREE)) return;
  const aside = `${TREE}.new`;
  rmSync(aside, { recursive: true, force: true });
  say(`making ${TREE}: ${SUITE} with systemd, once, to boot in the tests`);
  const options = ['--variant=minbase', `--include=${PACKAGES.join(',')}`];
  // In a mount namespace: what debootstrap leaves mounted when it fails goes with it.
  const command = ['--mount', '--propagation', 'private', 'debootstrap', ...options, SUITE, aside];
  const { status } = spawnSync('unshare', command, { stdio: 'inherit' });
  if (status !== 0) {
    rmSync(aside, { recursive: true, force: true });
    process.exit(1);
  }
  rmSync(join(aside, 'var/cache/apt/archives'), { recursive: true });
  mkdirSync(join(aside, 'var/cache/apt/archives/partial'), { recursive: true });
  spawnSync('systemctl', [`--root=${aside}`, 'mask', ...MASKED], { stdio: 'inherit' });
  // Nothing is updated at boot (systemd-update-done.service(8)).
  for (const stamp of ['etc/.updated', 'var/.updated']) writeFileSync(join(aside, stamp), '');
  writeFileSync(join(aside, TREE_MARK), `${RECIPE}\n`);
  renameSync(aside, TREE);
}

if (process.argv[1] === SELF && process.argv[2] === 'build') build();
