import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { isRunning, listDescendants, type SeenProcess } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { helloService, listenersOf, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';

const configIn = (directory: string) => ({
  listeners: {
    ...listenersOf({ web: 'http', db: 'tcp', lines: 'tcp', stubborn: 'tcp' }),
    local: { address: `unix:${join(directory, 'listener.sock')}`, protocol: 'http' },
  },
  services: {
    web: helloService('web', { idle: 'never' }),
    local: helloService('local'),
    daemon: serviceOf(['daemonizing-server.pl', 3000], { routes: [{ listener: 'db' }] }),
    notify: serviceOf(['notify-server.pl', 3000], {
      routes: [{ listener: 'web', host: 'notify' }],
      ready: 'notify',
    }),
    lines: serviceOf(['cat-lines.sh'], { routes: [{ listener: 'lines' }], upstream: 'stdio' }),
    stubborn: serviceOf(['ignores-sigterm.js', 3000], {
      routes: [{ listener: 'stubborn' }],
      stop_timeout: '5m',
    }),
    asleep: helloService('web', { routes: [{ host: 'asleep' }] }),
  },
});

/** Started in a directory of the test, with these services awake. */
async function startAwake(directory: string, awake: readonly string[]): Promise<ServedRouse> {
  const rouse = await ServedRouse.start(configIn(directory), { directory, ownGroup: true });
  for (const name of awake) await rouse.admin.wake(name, { wait: true });
  return rouse;
}

async function expectNothingLeft(directory: string, processes: readonly SeenProcess[]) {
  expect(processes.length).toBeGreaterThan(5);
  await waitFor(() => !processes.some(isRunning), {
    what: `the end of ${JSON.stringify(processes.filter(isRunning))}`,
  });
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
  expect(existsSync(join(directory, 'listener.sock'))).toBe(false);
  const left = readdirSync(join(directory, 'run'), { recursive: true, withFileTypes: true });
  expect(left.filter((entry) => !entry.isDirectory()).map(({ name }) => name)).toEqual([]);
}

describe.skipIf(whyNoIsolation !== null)(titled('nothing is left'), () => {
  test('after SIGTERM, which lets open connections end first', async () => {
    using directory = makeTemporaryDirectory();
    const awake = ['web', 'local', 'daemon', 'notify'];
    await using rouse = await startAwake(directory.path, awake);
    const processes = listDescendants(rouse.pid);
    const port = await rouse.port('web');
    const pending = get(port, '/slow/500');
    await waitFor(async () => (await rouse.status()).services[0]?.requests.inFlight === 1);
    rouse.process.signal('SIGTERM');
    await rouse.process.waitForOutput(/stopping: connections are drained/);
    expect((await pending).body).toContain('path /slow/500');
    expect(await rouse.process.ended).toMatchObject({ code: 0, signal: null });
    await expect(get(port, '/')).rejects.toThrow('ECONNREFUSED');
    await expectNothingLeft(directory.path, processes);
  });

  test('after a second SIGTERM, which waits neither for connections nor for services', async () => {
    using directory = makeTemporaryDirectory();
    await using rouse = await startAwake(directory.path, ['web', 'stubborn', 'notify']);
    const processes = listDescendants(rouse.pid);
    await using client = await RawClient.connect({ port: await rouse.port('lines') });
    await client.send('hello\n');
    await client.readText('1 hello');
    const pending = get(await rouse.port('web'), '/slow/600000').catch(() => null);
    await waitFor(async () => (await rouse.status()).services[0]?.requests.inFlight === 1);
    rouse.process.signal('SIGTERM');
    await rouse.process.waitForOutput(/stopping: connections are drained/);
    rouse.process.signal('SIGTERM');
    expect(await rouse.process.ended).toMatchObject({ code: 0, signal: null });
    expect(await pending).toMatchObject({ status: 502 });
    await client.readToEnd();
    await expectNothingLeft(directory.path, processes);
  });

  test('after Ctrl-C, which the whole process group gets', async () => {
    using directory = makeTemporaryDirectory();
    await using rouse = await startAwake(directory.path, ['web', 'daemon', 'notify']);
    const processes = listDescendants(rouse.pid);
    rouse.process.signalGroup('SIGINT');
    expect(await rouse.process.ended).toMatchObject({ code: 0, signal: null });
    expect(rouse.process.output).not.toMatch(/"level":"(warn|error|fatal)"/);
    await expectNothingLeft(directory.path, processes);
  });

  test('after SIGTERM while services start', async () => {
    using directory = makeTemporaryDirectory();
    const config = {
      listeners: listenersOf({ web: 'tcp' }),
      services: {
        slow: serviceOf(['slow-starter.js', 3000, 60_000], { routes: [{ listener: 'web' }] }),
        never: serviceOf(['never-listens.js']),
      },
    };
    await using rouse = await ServedRouse.start(config, {
      directory: directory.path,
      ownGroup: true,
    });
    await using held = await RawClient.connect({ port: await rouse.port('web') });
    await rouse.admin.wake('never', { wait: false });
    await waitFor(async () => (await rouse.status()).services.every(({ pid }) => pid !== null));
    const processes = listDescendants(rouse.pid);
    // Two signals at once would be one to the kernel.
    rouse.process.signal('SIGTERM');
    await rouse.process.waitForOutput(/stopping: connections are drained/);
    rouse.process.signal('SIGTERM');
    expect((await rouse.process.ended).code).toBe(0);
    expect((await held.readToEnd()).toString()).toBe('');
    await waitFor(() => !processes.some(isRunning));
    expect(readdirSync(join(directory.path, 'run'))).not.toContain('admin.sock');
  });

  test('of a service whose holder is killed: it fails, starts again, and the old one is gone', async () => {
    using directory = makeTemporaryDirectory();
    await using rouse = await startAwake(directory.path, ['web']);
    const { pid } = (await rouse.status()).services[0] ?? {};
    const before = listDescendants(rouse.pid);
    const service = before.find((process) => process.pid === pid);
    // The holder's init is the parent that its namespace's processes see as 1.
    const inits = before.filter(({ pid: init }) => isInitOf(init, pid ?? 0));
    expect(inits).toHaveLength(1);
    process.kill(inits[0]?.pid ?? 0, 'SIGKILL');
    await waitFor(() => service && !isRunning(service), { what: 'the service to end' });
    expect((await get(await rouse.port('web'), '/')).body).toContain('hello');
    const [now] = (await rouse.status()).services;
    expect(now).toMatchObject({ state: 'running', starts: 2 });
    rouse.process.signal('SIGTERM');
    const processes = [...before, ...listDescendants(rouse.pid)];
    expect((await rouse.process.ended).code).toBe(0);
    await expectNothingLeft(directory.path, processes);
  });

  test('of a rouse that cannot start', async () => {
    using directory = makeTemporaryDirectory();
    const config = {
      listeners: { far: { address: '192.0.2.1:80', protocol: 'tcp' } },
      services: {},
    };
    const options = { directory: directory.path, mayFail: true };
    await using rouse = await ServedRouse.start(config, options);
    const { code, stderr } = await rouse.process.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/rouse: listener far: cannot bind 192\.0\.2\.1:80: EADDRNOTAVAIL/);
    expect(readdirSync(join(directory.path, 'run'), { recursive: true })).toEqual([]);
  });
});

/** Whether `init` is process 1 of the pid namespace that `pid` runs in. */
function isInitOf(init: number, pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${init}/status`, 'utf8');
    return /^NSpid:.*\t1$/m.test(status) && namespaceOf(init) === namespaceOf(pid);
  } catch {
    return false;
  }
}

function namespaceOf(pid: number): string {
  const [, inode = ''] = /pid:\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/ns/pid`)) ?? [];
  return inode;
}
