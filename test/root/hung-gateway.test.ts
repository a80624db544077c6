import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { startFixture } from '../support/fixture.js';
import { listDescendants } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import { listenersOf, RunningRouse, serviceOf, titled, whyNoIsolation } from './root-support.js';

/** Each has a native thread beside its main one, and a listener of its own. */
const GATEWAYS = ['stopped', 'main', 'native', 'healthy'];
const IDLE_LOOK_MS = 200;

const CONFIG = {
  listeners: listenersOf(Object.fromEntries(GATEWAYS.map((name) => [name, 'tcp']))),
  gateways: Object.fromEntries(GATEWAYS.map((name) => [name, { listeners: [name] }])),
  services: {
    echo: serviceOf(['echo-server.js', 3000], {
      routes: GATEWAYS.map((listener) => ({ listener })),
      idle: 'never',
      egress: ['192.0.2.1:443'],
    }),
  },
};

async function gatewayOf({ rouse }: RunningRouse, name: string) {
  const found = (await rouse.status()).gateways.find((gateway) => gateway.name === name);
  if (!found?.pid) throw new Error(`gateway ${name} does not run`);
  return { pid: found.pid, restarts: found.restarts };
}

/** The egress process, which no command tells. */
async function egressPid({ rouse }: RunningRouse): Promise<number | undefined> {
  const { supervisor } = await rouse.status();
  return listDescendants(supervisor.pid).find(({ pid }) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('egress-process'),
  )?.pid;
}

/** The thread that waits in epoll_wait(2) for as long as the native engine does. */
function nativeThreadOf(pid: number): number | undefined {
  const tids = readdirSync(`/proc/${pid}/task`).map(Number);
  return tids.find((tid) => {
    const [, , , , timeout] = readFileSync(`/proc/${pid}/task/${tid}/syscall`, 'utf8').split(' ');
    return tid !== pid && Number(timeout) === IDLE_LOOK_MS;
  });
}

async function isServed(running: RunningRouse, listener: string): Promise<boolean> {
  await using client = await RawClient.connect({ port: await running.port(listener) });
  await client.send('anybody there?\n');
  return (await client.readText('there?')).includes('anybody there?');
}

describe.skipIf(whyNoIsolation !== null)(titled('a process of rouse that hangs'), () => {
  test('is replaced, whichever of its threads it is, and clients are served again', async () => {
    await using running = await RunningRouse.start(CONFIG);
    for (const name of GATEWAYS) expect(await isServed(running, name)).toBe(true);
    const before = (await running.rouse.status()).services[0];
    const victims = new Map<string, number>();
    for (const name of GATEWAYS) victims.set(name, (await gatewayOf(running, name)).pid);
    const pidOf = (name: string) => victims.get(name) ?? 0;

    const egress = await waitFor(() => egressPid(running));
    process.kill(egress, 'SIGSTOP');
    process.kill(pidOf('stopped'), 'SIGSTOP');
    await using holdsMain = startFixture('holds-thread.pl', [pidOf('main')]);
    const native = await waitFor(() => nativeThreadOf(pidOf('native')));
    await using holdsNative = startFixture('holds-thread.pl', [native]);
    for (const holder of [holdsMain, holdsNative]) await holder.waitForOutput(/holds \d+/);

    for (const name of ['stopped', 'main', 'native']) {
      await waitFor(async () => (await gatewayOf(running, name)).restarts === 1, {
        what: `a successor of gateway ${name}`,
        timeoutMs: 60_000,
      });
      expect(await isServed(running, name)).toBe(true);
      expect((await gatewayOf(running, name)).pid).not.toBe(pidOf(name));
    }
    await waitFor(async () => ((await egressPid(running)) ?? egress) !== egress);
    expect(await gatewayOf(running, 'healthy')).toEqual({ pid: pidOf('healthy'), restarts: 0 });
    const after = (await running.rouse.status()).services[0];
    expect({ pid: after?.pid, starts: after?.starts }).toEqual({ pid: before?.pid, starts: 1 });
    expect(running.log.join('\n')).toContain('(native engine) gives no sign of life');
  }, 120_000);
});
