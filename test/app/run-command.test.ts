import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Status } from '../../src/ipc/admin-api.js';
import { fixturePath } from '../support/fixture.js';
import { type ProcessOptions, TestProcess } from '../support/run-process.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { PROGRAM, runRouse } from './program.js';

const SERVER = [process.execPath, fixturePath('http-hello.js'), '3000'];

function startRun(flags: readonly string[], options?: ProcessOptions): TestProcess {
  const args = ['run', '-l', '127.0.0.1:0', '--upstream', 'tcp:3000', ...flags, '--', ...SERVER];
  return new TestProcess([process.execPath, PROGRAM, ...args], options);
}

test('run starts the command at the first request, says so, and stops it when unused', async () => {
  using directory = makeTemporaryDirectory();
  const place = ['--runtime-dir', directory.path];
  const flags = ['--protocol', 'http', '--idle', '300ms', '--name', 'app', '--log-format'];
  await using rouse = startRun([...flags, 'readable', ...place]);
  const [, url = ''] = await rouse.waitForOutput(/^ {2}app {2}curl (\S+)$/m);
  const { stdout } = await runRouse(['status', '--json', ...place]);
  const [before] = (JSON.parse(stdout) as Status).services;
  expect(before).toMatchObject({ name: 'app', state: 'stopped', starts: 0 });

  const response = await fetch(url);
  expect(await response.text()).toContain('hello');
  await rouse.waitForOutput(/^\S+ {2}app {9}woken by 127\.0\.0\.1:\d+ on main$/m);
  await rouse.waitForOutput(/^\S+ {2}app {9}ready in [\d.]+ ms$/m);
  await rouse.waitForOutput(/^\S+ {2}app {9}stopped: idle/m);
  rouse.signal('SIGTERM');
  expect((await rouse.ended).code).toBe(0);
});

test('run leaves no directory of its own behind', async () => {
  using directory = makeTemporaryDirectory();
  const environment = { TMPDIR: directory.path };
  await using rouse = startRun(['--log-format', 'readable'], { environment });
  await rouse.waitForOutput(/Nothing runs yet/);
  expect(readdirSync(directory.path)).not.toEqual([]);
  rouse.signal('SIGINT');
  expect((await rouse.ended).code).toBe(0);
  expect(readdirSync(directory.path)).toEqual([]);
});

test('what is wrong with the flags is told by the key that they set', async () => {
  const command = ['run', '-l', '127.0.0.1:0', '--upstream', '3000', '--', 'cat'];
  const { code, stderr } = await runRouse(command);
  expect(code).toBe(1);
  expect(stderr).toBe('rouse: services.cat.upstream: "3000" is no upstream; write tcp:3000\n');
});
