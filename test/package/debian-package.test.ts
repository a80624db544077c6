import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixturePath } from '../support/fixture.js';
import { runToEnd, TestProcess } from '../support/run-process.js';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.js';
import { buildPackage, mustRun, whyNoPackage } from './debian-package-rig.js';

const TIMEOUT_MS = 180_000;
const reason = whyNoPackage === null ? '' : ` (skipped: ${whyNoPackage})`;

describe.skipIf(whyNoPackage !== null)(
  `the Debian package${reason}`,
  { timeout: TIMEOUT_MS },
  () => {
    let directory: TemporaryDirectory;
    let packageFile = '';
    let root = '';

    beforeAll(async () => {
      directory = makeTemporaryDirectory();
      packageFile = await buildPackage(directory.path);
      root = join(directory.path, 'root');
      await mustRun(['dpkg-deb', '-x', packageFile, root]);
    }, TIMEOUT_MS);
    afterAll(() => directory[Symbol.dispose]());

    test('has no fault that lintian calls an error', async () => {
      const { code, stdout } = await runToEnd(['lintian', '--fail-on', 'error', packageFile]);
      expect(stdout).not.toMatch(/^E:/m);
      expect(code).toBe(0);
    });

    test.each(['native', 'node'])('serves with what it brings along, engine %s', async (engine) => {
      const program = join(root, 'usr/lib/rouse/dist/app/main.js');
      const flags = ['-l', '127.0.0.1:0', '--protocol', 'http', '--upstream', 'tcp:3000'];
      const server = [process.execPath, fixturePath('http-hello.js'), '3000'];
      const run = [process.execPath, program, 'run', ...flags, '--engine', engine, '--name', 'app'];
      const readable = ['--log-format', 'readable', '--', ...server];
      await using rouse = new TestProcess([...run, ...readable]);
      const [, url = ''] = await rouse.waitForOutput(/^ {2}app {2}curl (\S+)$/m);
      expect(await (await fetch(url)).text()).toContain('hello');
      rouse.signal('SIGTERM');
      expect((await rouse.ended).code).toBe(0);
    });

    test('an example configuration that comes with it is right', async () => {
      const program = join(root, 'usr/lib/rouse/dist/app/main.js');
      const config = join(root, 'etc/rouse/rouse.yaml');
      const check = await runToEnd([process.execPath, program, 'check', '-c', config]);
      expect([check.code, check.stderr]).toEqual([0, '']);
    });
  },
);
