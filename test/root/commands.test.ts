import type { ServiceStatus, Status } from 'rouse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROGRAM, runRouse } from '../app/program.js';
import { get } from '../support/http-client.js';
import { seeProcess, standsStill } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { TestProcess } from '../support/run-process.js';
import { waitFor } from '../support/wait-for.js';
import { helloService, listenersOf, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';

const CONFIG = {
  listeners: listenersOf({ web: 'http', db: 'tcp' }),
  services: {
    web: helloService('web', { idle: 'never' }),
    echo: serviceOf(['echo-server.js', 3000], { routes: [{ listener: 'db' }], idle: 'never' }),
    broken: serviceOf(['exits-at-once.js', 3]),
    slow: serviceOf(['slow-starter.js', 3000, 60_000]),
    talks: {
      run: { command: ['sh', '-c', 'n=0; while sleep 0.05; do n=$((n+1)); echo line $n; done'] },
      upstream: 'socket',
    },
  },
};

describe.skipIf(whyNoIsolation !== null)(titled('commands against a running rouse'), () => {
  let rouse: ServedRouse;
  beforeAll(async () => {
    rouse = await ServedRouse.start(CONFIG);
  });
  afterAll(() => rouse?.[Symbol.asyncDispose]());

  const run = (...args: string[]) => rouse.command(...args);
  const statusOf = async (name: string) => {
    const { stdout } = await run('status', name, '--json');
    const [service, ...others] = (JSON.parse(stdout) as Status).services;
    expect(others).toEqual([]);
    return service as ServiceStatus;
  };

  test('status --json has the fields of the contract, null where there is nothing yet', async () => {
    const { code, stdout, stderr } = await run('status', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const status = JSON.parse(stdout) as Status;
    const [web] = status.services;
    expect(web).toMatchObject({
      name: 'web',
      state: 'stopped',
      pid: null,
      since: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      connections: 0,
      held: 0,
      requests: { inFlight: 0, total: 0 },
      starts: 0,
      failures: 0,
      coldStart: { lastMs: null, p50Ms: null, p99Ms: null },
      lastWake: null,
      lastExit: null,
    });
    const [listener] = status.listeners;
    expect(listener).toMatchObject({
      name: 'web',
      addresses: [expect.stringMatching(/^127\.0\.0\.1:\d+$/)],
      protocol: 'http',
      gateway: 'main',
      accepted: 0,
      refused: 0,
    });
    const [gateway] = status.gateways;
    expect(gateway).toMatchObject({
      name: 'main',
      pid: expect.any(Number),
      engine: expect.any(String),
      isolation: expect.any(String),
      restarts: 0,
    });
    expect(status.supervisor).toMatchObject({
      pid: rouse.pid,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      uptimeMs: expect.any(Number),
    });
  });

  test('status shows a table, or one service', async () => {
    const { code, stdout } = await run('status');
    expect(code).toBe(0);
    for (const name of Object.keys(CONFIG.services)) expect(stdout).toContain(name);
    expect(stdout).not.toContain('\u001b');
    expect((await run('status', 'echo')).stdout).toContain('echo');
    const unknown = await run('status', 'ecko');
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toMatch(/^rouse: ecko: no service of this name; there are .*echo.*\n$/);
  });

  test('wake starts a service and waits until it is ready', async () => {
    const { code, stdout } = await run('wake', 'web');
    expect(code).toBe(0);
    const { state, pid, lastWake, coldStart } = await statusOf('web');
    expect(stdout).toMatch(new RegExp(`^web is running \\(pid ${pid}, last cold start .*\\)\\n$`));
    expect({ state, cause: lastWake?.cause }).toEqual({ state: 'running', cause: 'command' });
    expect(coldStart).toEqual({
      lastMs: coldStart.lastMs,
      p50Ms: coldStart.lastMs,
      p99Ms: coldStart.lastMs,
    });
  });

  test('wake of a service that fails exits with 1 and says why', async () => {
    expect(await run('wake', 'broken')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'rouse: broken: exited with code 3 before it was ready\n',
    });
  });

  test('wake --no-wait returns while the start is under way; sleep --force ends the start', async () => {
    expect(await run('wake', 'slow', '--no-wait')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^slow is starting/),
    });
    expect((await statusOf('slow')).state).toBe('starting');
    expect(await run('sleep', 'slow', '--force')).toMatchObject({
      code: 0,
      stdout: 'slow is stopped\n',
    });
  });

  test('sleep refuses while connections are open, and says how many; --force closes them', async () => {
    const port = await rouse.port('db');
    const clients = await Promise.all([1, 2].map(() => RawClient.connect({ port })));
    for (const client of clients) {
      await client.send('hello\n');
      await client.readText('hello');
    }
    const refused = await run('sleep', 'echo');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^rouse: echo: 2 connections are open; .*--force\n$/);
    expect((await statusOf('echo')).state).toBe('running');
    expect(await run('sleep', 'echo', '--force')).toMatchObject({
      code: 0,
      stdout: 'echo is stopped\n',
    });
    for (const client of clients) {
      expect((await client.readToEnd()).toString()).toBe('hello\n');
      client.socket.destroy();
    }
    expect(await statusOf('echo')).toMatchObject({ state: 'stopped', lastExit: { code: 0 } });
  });

  test('sleep counts requests in flight too', async () => {
    const pending = get(await rouse.port('web'), '/slow/600000').catch(() => null);
    await waitFor(async () => (await rouse.status()).services[0]?.requests.inFlight === 1);
    expect((await run('sleep', 'web')).stderr).toMatch(/^rouse: web: 1 connection is open/);
    expect(await run('sleep', 'web', '--force')).toMatchObject({
      code: 0,
      stdout: 'web is stopped\n',
    });
    expect((await pending)?.status).not.toBe(200);
  });

  test('freeze stops the processes of a running service, and refuses others', async () => {
    expect(await run('freeze', 'web')).toMatchObject({
      code: 1,
      stderr: 'rouse: web is stopped: only a running service can be frozen\n',
    });
    await run('wake', 'web');
    expect((await run('freeze', 'web')).stdout).toMatch(/^web is frozen \(pid \d+\)\n$/);
    const { pid } = await statusOf('web');
    expect(standsStill(pid ?? 0)).toBe(true);
    expect((await get(await rouse.port('web'), '/')).status).toBe(200);
    expect(await statusOf('web')).toMatchObject({ state: 'running', pid });
  });

  test('restart ends the process and waits for the next one', async () => {
    await run('wake', 'web');
    const { pid, starts } = await statusOf('web');
    expect(await run('restart', 'web')).toMatchObject({ code: 0, stderr: '' });
    const after = await statusOf('web');
    expect(after).toMatchObject({ state: 'running', starts: starts + 1 });
    expect(after.pid).not.toBe(pid);
    expect(seeProcess(pid ?? 0)).toBeNull();
  });

  test('explain tells who woke it, what keeps it awake, how it ended, what it printed', async () => {
    const asleep = await run('explain', 'broken');
    expect(asleep).toMatchObject({ code: 0, stderr: '' });
    expect(asleep.stdout).toContain('exited with code 3');
    expect(asleep.stdout).toContain('cannot open database: no such file');
    await using client = await RawClient.connect({ port: await rouse.port('db') });
    await client.send('hello\n');
    await client.readText('hello');
    const awake = await run('explain', 'echo');
    expect(awake.stdout).toContain(`127.0.0.1:${client.socket.localPort}`);
    expect(awake.stdout).toMatch(/1 connections? open/);
    expect(awake.stdout).toContain('gateway main');
  });

  test('logs shows what a service printed and when, also when it does not run', async () => {
    const { code, stdout } = await run('logs', 'broken');
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, ''))).toEqual([
      'reading the settings',
      'cannot open database: no such file',
      'giving up',
    ]);
    expect((await run('logs', 'broken', '-n', '1')).stdout).toMatch(/^\S+ giving up\n$/);
    expect((await run('logs', 'nobody')).code).toBe(1);
  });

  test('logs -f goes on with what it prints from now on', async () => {
    await run('wake', 'talks');
    const command = [PROGRAM, 'logs', 'talks', '-f', '--runtime-dir', rouse.runtimeDir];
    await using logs = new TestProcess([process.execPath, ...command]);
    const [, first = ''] = await logs.waitForOutput(/ line (\d+)$/m);
    await logs.waitForOutput(new RegExp(` line ${Number(first) + 20}$`, 'm'));
    logs.signal('SIGINT');
    await logs.ended;
    await run('sleep', 'talks');
  });

  test('reload prints what changed', async () => {
    const { broken: _, ...services } = CONFIG.services;
    rouse.writeConfig({
      ...CONFIG,
      services: { ...services, fresh: serviceOf(['echo-server.js']) },
    });
    expect(await run('reload')).toMatchObject({
      code: 0,
      stdout: 'added: service fresh\nremoved: service broken\n',
    });
  });

  test('without a rouse every command exits with 1 and says what to do; wrong usage with 2', async () => {
    for (const command of [['status'], ['wake', 'web'], ['reload'], ['logs', 'web']]) {
      const { code, stderr } = await runRouse([...command, '--runtime-dir', '/run/no-rouse-here']);
      expect({ command, code, lines: stderr.split('\n').length }).toEqual({
        command,
        code: 1,
        lines: 2,
      });
      expect(stderr).toContain('/run/no-rouse-here');
    }
    expect((await run('wake')).code).toBe(2);
    expect((await run('fly')).code).toBe(2);
    expect((await run('status', '--jsn')).code).toBe(2);
  });

  test('a second rouse in the same runtime directory is refused', async () => {
    const second = await ServedRouse.start(
      { listeners: {}, services: {} },
      { directory: rouse.directory, mayFail: true },
    );
    const { code, stderr } = await second.process.ended;
    expect(code).toBe(1);
    expect(stderr).toContain(`rouse runs there already (pid ${rouse.pid})`);
    expect((await run('status')).code).toBe(0);
  });
});
