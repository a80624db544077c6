import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { say } from './say.mjs';

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Debian package → a command that it brings. */
const COMMANDS = {
  bubblewrap: 'bwrap',
  curl: 'curl',
  openssl: 'openssl',
  'netcat-openbsd': 'nc',
  'util-linux': 'unshare',
  iproute2: 'ip',
  procps: 'pgrep',
  'groff-base': 'groff',
  lintian: 'lintian',
  perl: 'perl',
  debootstrap: 'debootstrap',
  'systemd-container': 'systemd-nspawn',
  'qemu-system-x86': 'qemu-system-x86_64',
  systemd: 'systemd-run',
};

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether a command is in PATH, or where the system has its own. */
export function hasCommand(name) {
  const directories = `${process.env.PATH ?? ''}:${SYSTEM_PATH}`.split(':');
  return directories.some((directory) => directory !== '' && isExecutable(`${directory}/${name}`));
}

const findMissing = (packages) => packages.filter((name) => !hasCommand(COMMANDS[name]));

function aptGet(...args) {
  say(`apt-get ${args.join(' ')}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return (
    spawnSync('apt-get', ['-qq', ...args], { stdio: 'inherit', env: environment }).status === 0
  );
}

function install(packages) {
  const args = ['install', '--yes', '--no-install-recommends', ...packages];
  return aptGet(...args) || (aptGet('update') && aptGet(...args));
}

/**
 * Installs the Debian packages whose commands are missing, as root and where there is apt-get;
 * otherwise says how. Returns the names of those that are missing still.
 */
export function ensureDebianPackages(packages) {
  const missing = findMissing(packages);
  if (missing.length === 0) return [];
  if (process.getuid() === 0 && hasCommand('apt-get')) install(missing);
  const remaining = findMissing(missing);
  if (remaining.length > 0) {
    say(
      `missing: ${remaining.join(', ')}; install with: sudo apt-get install ${remaining.join(' ')}`,
    );
  }
  return remaining;
}
