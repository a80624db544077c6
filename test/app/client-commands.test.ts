import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AdminServer } from '../../src/admin/server.js';
import type { Status } from '../../src/ipc/admin-api.js';
import { MemoryAdminApi } from '../admin/memory-admin-api.js';
import { sampleStatus } from '../admin/sample-status.js';
import { runToEnd, TestProcess } from '../support/run-process.js';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.js';
import { PROGRAM, runRouse } from './program.js';

let directory: TemporaryDirectory;
let api: MemoryAdminApi;
let server: AdminServer;

beforeEach(async () => {
  directory = makeTemporaryDirectory();
  api = new MemoryAdminApi();
  server = new AdminServer({
    api,
    socketPath: join(directory.path, 'admin.sock'),
    mode: 0o660,
    gid: null,
    listeningFd: null,
    log: pino({ level: 'silent' }),
  });
  await server.listen();
});

afterEach(async () => {
  await server.close();
  directory[Symbol.dispose]();
});

function rouse(...args: string[]) {
  return runRouse([...args, '--runtime-dir', directory.path]);
}

test('status prints a table', async () => {
  const { code, stdout } = await rouse('status');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^blog +running +2026-01-02T03:04:05.000Z +4711/m);
  expect(stdout).toContain('  | cannot open \\x1b[2Jspool\n');
});

test('status --json prints what the supervisor says in one line', async () => {
  const { stdout } = await rouse('status', '--json');
  expect(stdout).toBe(`${JSON.stringify(sampleStatus())}\n`);
});

test('status of one service keeps the form', async () => {
  const { stdout } = await rouse('status', 'blog', '--json');
  const { services, listeners } = JSON.parse(stdout) as Status;
  expect(services.map(({ name }) => name)).toEqual(['blog']);
  expect(listeners).toHaveLength(1);
  expect((await rouse('status', 'shop')).stdout).toMatch(/^service +shop\nstate +stopped\n/);
});

test('status of an unknown service fails and names those there are', async () => {
  const end = await rouse('status', 'blgo');
  const stderr = 'rouse: blgo: no service of this name; there are blog, mail, shop\n';
  expect(end).toMatchObject({ code: 1, stdout: '', stderr });
});

test.each([
  [['wake', 'blog'], 'wake blog wait=true'],
  [['wake', 'blog', '--no-wait'], 'wake blog wait=false'],
  [['sleep', 'shop'], 'sleep shop force=false'],
  [['sleep', 'blog', '--force'], 'sleep blog force=true'],
  [['freeze', 'blog'], 'freeze blog'],
  [['restart', 'blog'], 'restart blog'],
])('%j asks the supervisor and prints the state', async (args, call) => {
  const { code, stdout } = await rouse(...args);
  expect(api.calls).toEqual([call]);
  expect([code, stdout]).toEqual([
    0,
    args[1] === 'shop'
      ? 'shop is stopped\n'
      : 'blog is running (pid 4711, last cold start 41 ms)\n',
  ]);
});

test('a refusal is exit code 1 and one line', async () => {
  const busy = await rouse('sleep', 'blog');
  expect(busy).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'rouse: blog: 2 connections are open\n',
  });
  const failed = await rouse('wake', 'mail');
  expect(failed).toMatchObject({
    code: 1,
    stderr: 'rouse: mail: exit code 1 before it was ready\n',
  });
});

test('explain and reload print what the supervisor says', async () => {
  expect((await rouse('explain', 'blog')).stdout).toContain('why\n  It is awake: gateway main');
  const { stdout } = await rouse('reload');
  expect(stdout).toBe('added: new\nchanged at their next start: blog\n');
});

test('logs prints the last lines', async () => {
  expect((await rouse('logs', 'blog', '-n', '2')).stdout).toBe('sécond\nthird\n');
});

test('logs --follow prints what comes, and ends with the supervisor', async () => {
  const args = ['logs', 'blog', '--follow', '--runtime-dir', directory.path];
  await using follower = new TestProcess([process.execPath, PROGRAM, ...args]);
  await follower.waitForOutput(/third/);
  const at = '2026-01-02T03:04:05.000Z';
  api.emit({ at, service: 'blog', from: 'stopped', to: 'starting', reason: 'a new line' });
  await follower.waitForOutput(/a new line/);
  await server.close();
  expect(await follower.ended).toMatchObject({ code: 0, stderr: '' });
});

test('a reader that goes away, as head does, is no error', async () => {
  const command = `"$0" "$1" logs blog -f --runtime-dir "$2" | head -n 1`;
  const words = ['bash', '-o', 'pipefail', '-c', command, process.execPath, PROGRAM];
  const end = runToEnd([...words, directory.path]);
  const at = '2026-01-02T03:04:05.000Z';
  const feed = setInterval(
    () => api.emit({ at, service: 'blog', from: 'stopped', to: 'starting', reason: 'more' }),
    5,
  );
  expect(await end).toMatchObject({ code: 0, stdout: 'first\n', stderr: '' });
  clearInterval(feed);
});
