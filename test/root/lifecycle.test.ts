import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixturePath } from '../support/fixture.js';
import { get } from '../support/http-client.js';
import { seeProcess, standsStill } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import {
  helloService,
  listenersOf,
  RunningRouse,
  serviceOf,
  titled,
  whyNoIsolation,
} from './root-support.js';

const web = (host: string, settings = {}) =>
  helloService('web', { routes: [{ host }], ...settings });
const echo = (listener: string, settings = {}) =>
  serviceOf(['echo-server.js', 3000], { routes: [{ listener }], ...settings });

const CONFIG = {
  listeners: listenersOf({ web: 'http', open: 'tcp', quiet: 'tcp', crash: 'tcp', stubborn: 'tcp' }),
  services: {
    stops: web('stops', { idle: { stop: '200ms' } }),
    freezes: web('freezes', { idle: { freeze: '100ms' } }),
    both: web('both', { idle: { freeze: '100ms', stop: '300ms' } }),
    stays: web('stays', { idle: 'never' }),
    unused: web('unused', { idle: { stop: '200ms' } }),
    open: echo('open', { idle: { stop: '100ms' } }),
    quiet: echo('quiet', { idle: { freeze: '100ms', quiet: '200ms' } }),
    crash: echo('crash', { idle: 'never' }),
    stubborn: serviceOf(['ignores-sigterm.js', 3000], {
      routes: [{ listener: 'stubborn' }],
      stop_timeout: '300ms',
      idle: { stop: '100ms' },
    }),
  },
};

describe.skipIf(whyNoIsolation !== null)(titled('the life of a service'), () => {
  let running: RunningRouse;
  let webPort: number;
  beforeAll(async () => {
    running = await RunningRouse.start(CONFIG);
    webPort = await running.port('web');
  });
  afterAll(() => running?.rouse.close());

  const ask = (host: string) => get(webPort, '/', { host });
  const connect = async (listener: string) =>
    RawClient.connect({ port: await running.port(listener) });

  test('nothing runs before somebody asks; the first request starts it; unused it stops', async () => {
    expect(await running.service('stops')).toMatchObject({
      state: 'stopped',
      pid: null,
      starts: 0,
    });
    expect((await ask('stops')).body).toContain('hello');
    const { pid, lastWake, coldStart } = await running.service('stops');
    expect(seeProcess(pid ?? 0)).not.toBeNull();
    expect(lastWake).toMatchObject({
      cause: 'request',
      source: expect.stringContaining('127.0.0.1:'),
    });
    expect(coldStart.lastMs).toBeGreaterThan(0);
    await running.untilState('stops', 'stopped');
    expect(seeProcess(pid ?? 0)).toBeNull();
    expect(running.changes('stops', 'stopped')[0]?.reason).toMatch(/^idle for/);
    expect(await running.service('stops')).toMatchObject({
      lastExit: { code: 0, signal: null },
      failures: 0,
    });
  });

  test('it starts anew at the next request, as another process', async () => {
    await ask('stops');
    await running.untilState('stops', 'running', 2);
    await running.untilState('stops', 'stopped', 2);
    expect(await running.service('stops')).toMatchObject({ state: 'stopped', starts: 2 });
  });

  test('a service that was woken and never used goes idle too', async () => {
    await running.rouse.wake('unused');
    await running.untilState('unused', 'stopped');
  });

  test('frozen, its processes stand still; the first request thaws the same process', async () => {
    await ask('freezes');
    const { pid } = await running.service('freezes');
    for (let round = 1; round <= 3; round += 1) {
      await running.untilState('freezes', 'frozen', round);
      await waitFor(() => standsStill(pid ?? 0), { what: 'a process that stands still' });
      expect((await ask('freezes')).body).toContain('hello');
    }
    expect(await running.service('freezes')).toMatchObject({ pid, starts: 1 });
  });

  test('many requests at once to a frozen service thaw it once', async () => {
    await running.rouse.wake('freezes');
    const { pid } = await running.service('freezes');
    await waitFor(() => standsStill(pid ?? 0), { what: 'a process that stands still' });
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask('freezes')));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  });

  test('a service with both stages is frozen first and stopped later', async () => {
    await ask('both');
    await running.untilState('both', 'stopped');
    const states = running.events.filter(({ service }) => service === 'both').map(({ to }) => to);
    expect(states).toEqual(['starting', 'running', 'frozen', 'stopping', 'stopped']);
    expect((await running.service('both')).lastExit).toMatchObject({ code: 0 });
  });

  test('idle: never keeps it', async () => {
    await ask('stays');
    const others = running.changes('both', 'stopped').length;
    await ask('both');
    await running.untilState('both', 'stopped', others + 1);
    expect(await running.service('stays')).toMatchObject({ state: 'running', starts: 1 });
    await waitFor(
      async () =>
        (await running.rouse.explain('stays')).why.join(' ').includes('idle: never keeps it'),
      { what: 'the reason why it is awake' },
    );
  });

  test('an open connection keeps it awake, its end lets it go', async () => {
    await using client = await connect('open');
    await client.send('one\n');
    await client.readText('one');
    await ask('both');
    await running.untilState('both', 'stopped', running.changes('both', 'stopped').length + 1);
    expect(await running.service('open')).toMatchObject({ state: 'running', connections: 1 });
    client.end();
    await running.untilState('open', 'stopped');
  });

  test('a quiet connection survives freezing, its first byte thaws, and stopping closes it', async () => {
    await using client = await connect('quiet');
    await client.send('one\n');
    await client.readText('one');
    const { pid } = await running.service('quiet');
    for (const [round, word] of ['two', 'three'].entries()) {
      await running.untilState('quiet', 'frozen', round + 1);
      await waitFor(() => standsStill(pid ?? 0), { what: 'a process that stands still' });
      expect(await running.service('quiet')).toMatchObject({ connections: 1 });
      await client.send(`${word}\n`);
      await client.readText(word);
    }
    await running.untilState('quiet', 'frozen', 3);
    await running.rouse.sleep('quiet', { force: true });
    expect((await client.readToEnd()).toString()).toBe('one\ntwo\nthree\n');
    expect(await running.service('quiet')).toMatchObject({ state: 'stopped' });
    await waitFor(async () => (await running.service('quiet')).connections === 0);
  });

  test('a crash closes its connections, and the next demand starts it again', async () => {
    await using client = await connect('crash');
    await client.send('one\n');
    await client.readText('one');
    const { pid } = await running.service('crash');
    process.kill(pid ?? 0, 'SIGKILL');
    await client.readToEnd();
    await running.untilState('crash', 'failed');
    expect(await running.service('crash')).toMatchObject({
      pid: null,
      failures: 1,
      lastExit: { code: null, signal: 'SIGKILL' },
      failure: { reason: 'ended by SIGKILL' },
    });
    await waitFor(async () => (await running.service('crash')).connections === 0);
    await using next = await connect('crash');
    await next.send('two\n');
    await next.readText('two');
    expect(await running.service('crash')).toMatchObject({ state: 'running', starts: 2 });
  });

  test('who ignores the stop signal is killed when stop_timeout is over', async () => {
    await using client = await connect('stubborn');
    client.end();
    await client.readToEnd();
    await running.untilState('stubborn', 'stopped');
    expect((await running.service('stubborn')).lastExit).toMatchObject({ signal: 'SIGKILL' });
    expect((await running.rouse.explain('stubborn')).lastOutput).toContain('ignoring SIGTERM');
  });

  test('a request that comes while the service is being stopped is served by the next start', async () => {
    await running.rouse.wake('stubborn');
    const { pid } = await running.service('stubborn');
    await running.untilState('stubborn', 'stopping', 2);
    await using late = await connect('stubborn');
    await late.readText('pid');
    const now = await running.service('stubborn');
    expect(now).toMatchObject({ state: 'running', starts: 3 });
    expect(now.pid).not.toBe(pid);
  });
});

test.skipIf(whyNoIsolation !== null)(
  titled('with start_parallel: 1 two services never start at the same time'),
  async () => {
    using directory = makeTemporaryDirectory();
    chmodSync(directory.path, 0o777);
    const log = join(directory.path, 'log');
    writeFileSync(log, '');
    chmodSync(log, 0o666);
    const server = fixturePath('fast-server.pl');
    const script = `echo begins >> ${log}; sleep 0.1; echo listens >> ${log}; exec ${server} 3000`;
    const service = {
      run: { command: ['sh', '-c', script] },
      upstream: 'tcp:3000',
      isolation: { writable: [directory.path], readable: [server] },
    };
    const names = ['a', 'b', 'c', 'd'];
    await using running = await RunningRouse.start({
      start_parallel: 1,
      services: Object.fromEntries(names.map((name) => [name, service])),
    });
    await Promise.all(names.map((name) => running.rouse.wake(name)));
    expect(readFileSync(log, 'utf8')).toBe('begins\nlistens\n'.repeat(names.length));
  },
);
