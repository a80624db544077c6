import { readdirSync, readFileSync } from 'node:fs';
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

const CONFIG = {
  listeners: listenersOf({ web: 'http', db: 'tcp' }),
  services: {
    hello: helloService('web', { idle: 'never' }),
    echo: serviceOf(['echo-server.js', 3000], { routes: [{ listener: 'db' }], idle: 'never' }),
  },
};

/** Requests, each on a connection of its own, until `stop`; counts those that were answered. */
function keepAsking(port: number) {
  const load = { answered: 0, stop };
  let isOver = false;
  const ask = async () => {
    while (!isOver) {
      const answer = await get(port, '/').catch(() => null);
      if (answer?.status === 200) load.answered += 1;
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, ask));
  async function stop() {
    isOver = true;
    await clients;
  }
  return load;
}

async function gatewayPid({ rouse }: RunningRouse): Promise<number> {
  return waitFor(async () => (await rouse.status()).gateways[0]?.pid);
}

describe.skipIf(whyNoIsolation !== null)(titled('a gateway that is killed'), () => {
  test('is replaced again and again under load: later connections are served, services stay', async () => {
    await using running = await RunningRouse.start(CONFIG);
    const { rouse } = running;
    const [web, db] = [await running.port('web'), await running.port('db')];
    await rouse.wake('hello');
    await rouse.wake('echo');
    const before = (await rouse.status()).services.map(({ pid }) => pid);
    const load = keepAsking(web);
    for (let kill = 1; kill <= 4; kill += 1) {
      const goal = load.answered + 50;
      await waitFor(() => load.answered >= goal, { what: `answers before kill ${kill}` });
      const victim = await gatewayPid(running);
      process.kill(victim, 'SIGKILL');
      expect((await get(web, '/after')).body).toContain('path /after');
      await using client = await RawClient.connect({ port: db });
      await client.send('still here\n');
      await client.readText('still here');
      const status = await rouse.status();
      expect(status.gateways[0]).toMatchObject({ restarts: kill });
      expect(status.gateways[0]?.pid).not.toBe(victim);
    }
    await load.stop();
    const { services } = await rouse.status();
    expect(services.map(({ pid }) => pid)).toEqual(before);
    expect(services.map(({ starts }) => starts)).toEqual([1, 1]);
  });

  test('takes down the connections that it had accepted, and none that wait in the queue', async () => {
    await using running = await RunningRouse.start(CONFIG);
    const port = await running.port('db');
    await using accepted = await RawClient.connect({ port });
    await accepted.send('one\n');
    await accepted.readText('one');
    const victim = await gatewayPid(running);
    // A gateway that stands still accepts nothing: what connects now waits in the kernel's queue.
    process.kill(victim, 'SIGSTOP');
    await waitFor(() => standsStill(victim));
    await using queued = await RawClient.connect({ port });
    await queued.send('two\n');
    process.kill(victim, 'SIGKILL');
    await queued.readText('two');
    await accepted.readToEnd();
    expect(accepted.received.toString()).toBe('one\n');
  });

  test('lets go of its leases: the service still goes idle', async () => {
    await using running = await RunningRouse.start({
      listeners: listenersOf({ db: 'tcp' }),
      services: {
        echo: serviceOf(['echo-server.js', 3000], {
          routes: [{ listener: 'db' }],
          idle: { stop: '100ms' },
        }),
      },
    });
    await using client = await RawClient.connect({ port: await running.port('db') });
    await client.send('hold\n');
    await client.readText('hold');
    process.kill(await gatewayPid(running), 'SIGKILL');
    await client.readToEnd();
    await running.untilState('echo', 'stopped');
  });
});

/** Whether every thread of a process is stopped: the signal reaches them one after the other. */
function standsStill(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((tid) => {
    const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] === 'T';
  });
}
