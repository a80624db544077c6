import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import {
  helloService,
  listenersOf,
  RunningRouse,
  serviceOf,
  titled,
  whyNoIsolation,
} from './root-support.js';

function taskLimitOf(pid: number): string | undefined {
  return /^Max processes\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1];
}

function holdersOf(running: RunningRouse, service: string): Promise<string[]> {
  return running.rouse.explain(service).then(({ leases }) => leases.map(({ holder }) => holder));
}

describe.skipIf(whyNoIsolation !== null)(titled('keeping a service awake'), () => {
  test('a held service outlives its idle time until it is released', async () => {
    await using running = await RunningRouse.start({
      listeners: listenersOf({ web: 'http' }),
      services: {
        hello: helloService('web', { idle: { stop: '50ms' } }),
        other: helloService('web', { routes: [], idle: { stop: '50ms' } }),
      },
    });
    expect(await running.rouse.hold('hello')).toMatchObject({ state: 'running' });
    // Another service with the same idle time stops meanwhile: so would this one have.
    await running.rouse.wake('other');
    await running.untilState('other', 'stopped');
    await running.rouse.wake('other');
    await running.untilState('other', 'stopped', 2);
    expect(running.changes('hello', 'stopped')).toEqual([]);
    expect(await holdersOf(running, 'hello')).toEqual(['rouse hold']);
    await running.rouse.release('hello');
    await running.untilState('hello', 'stopped');
  });

  test('a hold for a time ends by itself', async () => {
    await using running = await RunningRouse.start({
      listeners: listenersOf({ web: 'http' }),
      services: { hello: helloService('web', { idle: { stop: '10ms' } }) },
    });
    await running.rouse.hold('hello', { forMs: 100 });
    await running.untilState('hello', 'stopped');
    expect((await get(await running.port('web'), '/')).status).toBe(200);
  });

  test('a service holds itself with a datagram, and lets itself go', async () => {
    await using running = await RunningRouse.start({
      listeners: listenersOf({ talk: 'tcp' }),
      services: {
        holder: serviceOf(['holds-itself.pl', 3000], {
          routes: [{ listener: 'talk' }],
          idle: { stop: '50ms', hold: true },
        }),
      },
    });
    const port = await running.port('talk');
    const say = async (line: string) => {
      await using client = await RawClient.connect({ port });
      await client.send(`${line}\n`);
      await client.readText(`said ${line}`);
    };
    await say('ROUSE_HOLD=1');
    await waitFor(async () => (await holdersOf(running, 'holder')).join() === 'the service itself');
    expect(running.changes('holder', 'stopped')).toEqual([]);
    await say('ROUSE_HOLD=0');
    await running.untilState('holder', 'stopped');
  });

  test('a service that holds itself in the datagram that says it is ready stays awake', async () => {
    await using running = await RunningRouse.start({
      listeners: listenersOf({ talk: 'tcp' }),
      services: {
        holder: serviceOf(['holds-itself.pl', 3000, 'READY=1\nROUSE_HOLD=1'], {
          routes: [{ listener: 'talk' }],
          ready: 'notify',
          idle: { stop: '10ms', hold: true },
        }),
      },
    });
    await running.rouse.wake('holder');
    expect(await holdersOf(running, 'holder')).toEqual(['the service itself']);
    const client = await RawClient.connect({ port: await running.port('talk') });
    await client.send('ROUSE_HOLD=0\n');
    await client.readText('said');
    client.socket.destroy();
    await running.untilState('holder', 'stopped');
    expect((await running.service('holder')).starts).toBe(1);
  });
});

describe.skipIf(whyNoIsolation !== null)(titled('limits that change while a service runs'), () => {
  test('tasks change at once and for later starts, and the config wins again at a reload', async () => {
    const config = {
      listeners: listenersOf({ web: 'http' }),
      services: { hello: helloService('web', { resources: { tasks: 50 }, idle: 'never' }) },
    };
    await using running = await RunningRouse.start(config);
    const { pid } = await running.rouse.wake('hello');
    const changed = await running.rouse.set('hello', { tasks: '60' }).catch(String);
    if (typeof changed === 'string') {
      // Limits of other users' processes: a privilege that even root may lack.
      expect(changed).toMatch(/tasks cannot be changed while it runs: .*CAP_SYS_RESOURCE/);
      await running.rouse.sleep('hello');
      await running.rouse.set('hello', { tasks: '60' });
    } else expect(changed.pid).toBe(pid);
    const { isolation } = await running.rouse.explain('hello');
    const row = isolation.find(({ what }) => what.startsWith('tasks'));
    expect(row?.what).toBe('tasks 60');
    // Where there is a pids controller the cgroup has the limit, and the process none.
    const isByUser = row?.by.startsWith('RLIMIT') ?? false;
    const restarted = await running.rouse.restart('hello');
    if (isByUser) expect(taskLimitOf(restarted.pid as number)).toBe('60');
    await running.rouse.reload(config);
    const again = await running.rouse.restart('hello');
    if (isByUser) expect(taskLimitOf(again.pid as number)).toBe('50');
  });

  test.each([
    [{ tasks: 'many' }, /tasks: "many" is no value; write 100 or none/],
    [{ colour: 'red' }, /colour: no limit; there are memory, cpu, tasks, io/],
  ])('%j is refused with what could be said', async (limits, message) => {
    await using running = await RunningRouse.start({
      listeners: listenersOf({ web: 'http' }),
      services: { hello: helloService('web') },
    });
    await expect(running.rouse.set('hello', limits)).rejects.toThrow(message);
  });
});

describe.skipIf(whyNoIsolation !== null)(titled('a state directory'), () => {
  test('outlives its service, is named to it, and belongs to it alone', async () => {
    const script =
      'echo x >> $STATE_DIRECTORY/starts; wc -l < $STATE_DIRECTORY/starts; stat -c %a $STATE_DIRECTORY; ls $STATE_DIRECTORY/..';
    await using running = await RunningRouse.start({
      listeners: listenersOf({ one: 'tcp', two: 'tcp' }),
      services: Object.fromEntries(
        ['one', 'two'].map((name) => [
          name,
          {
            routes: [{ listener: name }],
            run: { command: ['/bin/sh', '-c', script] },
            upstream: 'stdio',
            isolation: { state: true },
            idle: { stop: '10ms' },
          },
        ]),
      ),
    });
    const read = async (listener: string) => {
      await using client = await RawClient.connect({ port: await running.port(listener) });
      await client.readToEnd();
      return client.received.toString();
    };
    expect(await read('one')).toBe('1\n700\none\n');
    await running.untilState('one', 'stopped');
    expect(await read('one')).toBe('2\n700\none\n');
    expect(await read('two')).toBe('1\n700\ntwo\n');
  });
});
