import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  buildPackage,
  encodePackage,
  mustRun,
  whyNoPackage,
} from '../package/debian-package-rig.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { HELLO_CONFIG, Machine, titled, whyNoSystemd } from './machine.js';

const TIMEOUT_MS = 180_000;
const why = whyNoSystemd ?? whyNoPackage;
const NEWER = '9.9.9';

/** The same package, as if the next version had been built. */
async function buildNewer(file: string, directory: string): Promise<string> {
  const root = join(directory, 'newer');
  const newer = join(directory, 'newer.deb');
  await mustRun(['dpkg-deb', '-R', file, root]);
  edit(join(root, 'DEBIAN/control'), /^Version: .*/m, `Version: ${NEWER}-1`);
  edit(join(root, 'usr/lib/rouse/package.json'), /"version": ".*"/, `"version": "${NEWER}"`);
  await mustRun(['dpkg-deb', '--root-owner-group', '-Zgzip', '--build', root, newer]);
  return newer;
}

function edit(path: string, pattern: RegExp, replacement: string): void {
  writeFileSync(path, readFileSync(path, 'utf8').replace(pattern, replacement));
}

describe.skipIf(why !== null)(
  titled('the Debian package on a machine with systemd'),
  { timeout: TIMEOUT_MS },
  () => {
    let machine: Machine;

    // Node comes from the host there, and is no package.
    const install = (name: string) =>
      machine.check(`dpkg --ignore-depends=nodejs --install /root/${name} 2>&1`);

    beforeAll(async () => {
      machine = await Machine.boot();
      using directory = makeTemporaryDirectory();
      const first = await buildPackage(directory.path);
      const newer = await buildNewer(first, directory.path);
      await machine.check('rm /usr/bin/rouse');
      for (const [name, file] of Object.entries({ 'first.deb': first, 'newer.deb': newer })) {
        await machine.check(`base64 -d >/root/${name}`, encodePackage(file));
      }
    }, TIMEOUT_MS);
    afterAll(() => machine[Symbol.asyncDispose]());

    test('installs, starts nothing by itself, and serves once its unit is enabled', async () => {
      await install('first.deb');
      expect((await machine.run('systemctl is-active rouse')).stdout).toBe('inactive\n');
      expect((await machine.run('systemctl is-enabled rouse')).stdout).toBe('disabled\n');
      expect(await machine.check('rouse check')).toContain('/etc/rouse/rouse.yaml: ok');
      await machine.write('/etc/rouse/services.d/hello.yaml', HELLO_CONFIG);
      await machine.check('systemctl enable --now rouse');
      expect(await machine.curl('http://127.0.0.1:8080/')).toContain('hello');
    });

    test('a newer version takes over in place: the supervisor and its services stay', async () => {
      const before = await statusOf(machine);
      await install('newer.deb');
      const after = await statusOf(machine);
      expect(await machine.check('rouse --version')).toBe(`rouse ${NEWER}\n`);
      expect(after.supervisor).toMatchObject({ pid: before.supervisor.pid, version: NEWER });
      expect(after.services[0]).toMatchObject({ state: 'running', pid: before.services[0]?.pid });
      expect(await machine.curl('http://127.0.0.1:8080/')).toContain('hello');
    });

    test('is removed with all that ran, and keeps the configuration until it is purged', async () => {
      await machine.check('dpkg --remove rouse 2>&1');
      expect((await machine.run('systemctl is-active rouse')).code).not.toBe(0);
      expect((await machine.run('pgrep -f [/]usr/lib/rouse')).stdout).toBe('');
      await machine.check('test -e /etc/rouse/rouse.yaml && test -d /var/lib/rouse');
      await machine.check('rm /etc/rouse/services.d/hello.yaml && dpkg --purge rouse 2>&1');
      const left = 'ls -d /etc/rouse /var/lib/rouse /run/rouse /usr/lib/rouse /usr/bin/rouse';
      expect((await machine.run(left)).stdout).toBe('');
      const links = 'find /etc/systemd -name "rouse*"';
      expect(await machine.check(links)).toBe('');
    });
  },
);

interface SeenStatus {
  readonly supervisor: { readonly pid: number; readonly version: string };
  readonly services: readonly { readonly pid: number | null; readonly state: string }[];
}

async function statusOf(machine: Machine): Promise<SeenStatus> {
  return JSON.parse(await machine.check('rouse status --json')) as SeenStatus;
}
