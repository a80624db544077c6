import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prepareDirectories, resolveDirectories } from '../../src/app/directories.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';

const XDG = {
  XDG_RUNTIME_DIR: '/run/user/1000',
  XDG_STATE_HOME: '/home/me/state',
  HOME: '/home/me',
};

test.each([
  ['root', {}, XDG, 0, '/run/rouse', '/var/lib/rouse'],
  ['a user', {}, XDG, 1000, '/run/user/1000/rouse', '/home/me/state/rouse'],
  [
    'a user without XDG',
    {},
    { HOME: '/home/me' },
    1000,
    '/tmp/rouse-1000',
    '/home/me/.local/state/rouse',
  ],
  [
    'a user who looks like root in a user namespace',
    {},
    { ...XDG, ROUSE_ROOTLESS_UID: '1000' },
    0,
    '/run/user/1000/rouse',
    '/home/me/state/rouse',
  ],
  [
    'a systemd unit',
    {},
    { ...XDG, RUNTIME_DIRECTORY: '/run/a:/run/b', STATE_DIRECTORY: '/var/lib/a' },
    0,
    '/run/a',
    '/var/lib/a',
  ],
  [
    'who says it',
    { runtimeDir: '/x', stateDir: '/y' },
    { ...XDG, RUNTIME_DIRECTORY: '/run/a', STATE_DIRECTORY: '/var/lib/a' },
    1000,
    '/x',
    '/y',
  ],
])('directories of %s', (_who, flags, env, uid, runtimeDir, stateDir) => {
  expect(resolveDirectories(flags, env, uid)).toEqual({ runtimeDir, stateDir });
});

test('missing directories are made, for a user with nobody else in them', async () => {
  using directory = makeTemporaryDirectory();
  const uid = process.geteuid?.() ?? 0;
  const runtimeDir = join(directory.path, 'a/run');
  await prepareDirectories({ runtimeDir, stateDir: join(directory.path, 'state') }, uid);
  expect(statSync(runtimeDir).mode & 0o777).toBe(uid === 0 ? 0o755 : 0o700);
});

test('another user’s directory is refused', async ({ skip }) => {
  if (process.geteuid?.() !== 0) return skip('only root can make a directory of another user');
  using directory = makeTemporaryDirectory();
  const runtimeDir = join(directory.path, 'run');
  mkdirSync(runtimeDir);
  chmodSync(directory.path, 0o777);
  chownSync(runtimeDir, 4242, 4242);
  const stateDir = directory.path;
  await expect(prepareDirectories({ runtimeDir, stateDir }, 1000)).rejects.toThrow(
    /run belongs to uid 4242, not to 1000; choose another with --runtime-dir/,
  );
});
