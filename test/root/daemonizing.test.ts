import { describe, expect, test } from 'vitest';
import { isRunning, listDescendants, standsStill } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import { listenersOf, RunningRouse, serviceOf, titled, whyNoIsolation } from './root-support.js';

const configWith = (settings: object) => ({
  listeners: listenersOf({ db: 'tcp' }),
  services: {
    daemon: serviceOf(['daemonizing-server.pl', 3000], {
      routes: [{ listener: 'db' }],
      ...settings,
    }),
  },
});

async function ask(running: RunningRouse): Promise<string> {
  await using client = await RawClient.connect({ port: await running.port('db') });
  client.end();
  return (await client.readToEnd()).toString();
}

const daemonsOf = ({ rouse }: RunningRouse) =>
  listDescendants(rouse.pid).filter(({ name }) => name.startsWith('daemonizing'));

describe.skipIf(whyNoIsolation !== null)(titled('a server that daemonizes'), () => {
  test('is alive as long as its VPS has processes, and ends when it is put to sleep', async () => {
    await using running = await RunningRouse.start(configWith({ idle: 'never' }));
    const first = await ask(running);
    expect(first).toMatch(/^pid \d+\n$/);
    const [daemon, ...others] = await waitFor(() => {
      const daemons = daemonsOf(running);
      return daemons.length === 1 && daemons;
    });
    expect(others).toEqual([]);
    expect(await ask(running)).toBe(first);
    expect(await running.service('daemon')).toMatchObject({ state: 'running', starts: 1 });
    await running.rouse.sleep('daemon');
    expect(daemon && isRunning(daemon)).toBe(false);
    expect(running.changes('daemon', 'failed')).toEqual([]);
    expect(await ask(running)).toMatch(/^pid \d+\n$/);
    expect(await running.service('daemon')).toMatchObject({ state: 'running', starts: 2 });
  });

  test('is frozen, thawed and stopped like any other', async () => {
    const idle = { freeze: '100ms', stop: '500ms' };
    await using running = await RunningRouse.start(configWith({ idle }));
    const first = await ask(running);
    await waitFor(() => daemonsOf(running).some(({ pid }) => standsStill(pid)), {
      what: 'a daemon that stands still',
    });
    expect(await ask(running)).toBe(first);
    await running.untilState('daemon', 'stopped');
    expect(daemonsOf(running)).toEqual([]);
  });

  test('is noticed when it ends by itself', async () => {
    await using running = await RunningRouse.start(configWith({ idle: 'never' }));
    await ask(running);
    const [daemon] = await waitFor(() => {
      const daemons = daemonsOf(running);
      return daemons.length === 1 && daemons;
    });
    process.kill(daemon?.pid ?? 0, 'SIGKILL');
    await waitFor(async () => (await running.service('daemon')).state !== 'running', {
      what: 'its end to be noticed',
    });
    expect(await ask(running)).toMatch(/^pid \d+\n$/);
  });
});
