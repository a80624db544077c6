import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listenOn, localAddress } from '../../src/sys/sockets.js';
import { get } from '../support/http-client.js';
import { Load } from '../support/load.js';
import { StandInManager } from '../support/stand-in-manager.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { helloService, listenersOf, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';

/** A service manager, and a directory that every rouse which it starts lives in. */
function makePlace() {
  const directory = makeTemporaryDirectory();
  const manager = new StandInManager(directory.path);
  return {
    manager,
    path: directory.path,
    start: (config: object) =>
      ServedRouse.start(config, { directory: directory.path, ...manager.options() }),
    [Symbol.dispose]() {
      manager[Symbol.dispose]();
      directory[Symbol.dispose]();
    },
  };
}

const LISTENERS = listenersOf({ web: 'http', db: 'tcp', cat: 'tcp' });
const SERVICES = {
  hello: helloService('web'),
  echo: serviceOf(['echo-server.js', 3000], { routes: [{ listener: 'db' }] }),
  cat: serviceOf(['cat-lines.sh'], { routes: [{ listener: 'cat' }], upstream: 'stdio' }),
};

async function loadOf(rouse: ServedRouse): Promise<Load> {
  const [web, db, cat] = [await rouse.port('web'), await rouse.port('db'), await rouse.port('cat')];
  return Load.start([`http-each:${web}:3`, `tcp-each:${db}:3`, `stdio:${cat}:1`]);
}

describe.skipIf(whyNoIsolation !== null)(titled('with a descriptor store'), () => {
  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'not one connection is refused under load over ten ends by %s and as many starts',
    async (signal) => {
      using place = makePlace();
      const config = { listeners: LISTENERS, services: SERVICES };
      let rouse = await place.start(config);
      const addresses = (await rouse.status()).listeners.map((listener) => listener.addresses);
      await using load = await loadOf(rouse);
      for (let life = 1; life <= 10; life += 1) {
        await load.more(10);
        rouse.process.signal(signal);
        await rouse.process.ended;
        rouse = await place.start(config);
      }
      await load.more(10);
      const report = await load.stop();
      expect(report.faults).toMatchObject({ refused: 0, wrong: 0, late: 0 });
      const status = await rouse.status();
      expect(status.listeners.map((listener) => listener.addresses)).toEqual(addresses);
      const hello = status.services.find(({ name }) => name === 'hello');
      expect(hello?.starts).toBe(11);
      expect(hello?.coldStart.p50Ms).not.toBeNull();
      expect(rouse.process.output).not.toMatch(/"level":"(error|fatal)"/);
      await rouse[Symbol.asyncDispose]();
    },
    120_000,
  );

  test('sockets are found again by their address, whatever the listener is called by then', async () => {
    using place = makePlace();
    const first = await place.start({
      listeners: { one: { address: '127.0.0.1:0', protocol: 'http' } },
      services: { hello: helloService('one') },
    });
    const port = await first.port('one');
    first.process.signal('SIGKILL');
    await first.process.ended;
    const between = get(port, '/between');
    await using second = await place.start({
      listeners: { two: { address: `127.0.0.1:${port}`, protocol: 'http' } },
      services: { hello: helloService('two') },
    });
    expect((await between).body).toContain('path /between');
    expect(second.process.output).not.toMatch(/"level":"(error|fatal)"/);
  });

  test('what the config no longer wants is closed before its port is bound anew', async () => {
    using place = makePlace();
    const fd = listenOn({ kind: 'inet', host: '0.0.0.0', port: 0 }, 10);
    const address = localAddress(fd);
    const port = address?.kind === 'inet' ? address.port : 0;
    place.manager.store('rouse/listen/web/0.0.0.0%3A80', fd);
    await using rouse = await place.start({
      listeners: { web: { address: `127.0.0.1:${port}`, protocol: 'http' } },
      services: { hello: helloService('web') },
    });
    expect((await get(port, '/')).status).toBe(200);
    expect(place.manager.names.filter((name) => name.includes('listen'))).toEqual([
      `rouse/listen/web/127.0.0.1%3A${port}`,
    ]);
    rouse.writeConfig({ services: {} });
    expect((await rouse.command('reload')).code).toBe(0);
    await waitFor(() => !place.manager.names.some((name) => name.includes('listen')));
    await expect(get(port, '/')).rejects.toThrow('ECONNREFUSED');
  });

  test('a Unix socket keeps its file over a restart, and is bound anew where that is gone', async () => {
    using place = makePlace();
    const path = join(place.path, 'web.sock');
    const config = {
      listeners: { web: { address: `unix:${path}`, protocol: 'http' } },
      services: { hello: helloService('web') },
    };
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const rouse = await place.start(config);
      rouse.process.signal(signal);
      await rouse.process.ended;
      expect(existsSync(path)).toBe(true);
    }
    rmSync(path);
    await using rouse = await place.start(config);
    expect(existsSync(path)).toBe(true);
    expect(rouse.process.output).not.toMatch(/"level":"(error|fatal)"/);
  });

  test('a service that had failed has failed still: its backoff goes on', async () => {
    using place = makePlace();
    const config = {
      listeners: listenersOf({ db: 'tcp' }),
      services: { broken: serviceOf(['exits-at-once.js'], { routes: [{ listener: 'db' }] }) },
    };
    const first = await place.start(config);
    for (let wake = 1; wake <= 3; wake += 1) {
      await expect(first.admin.wake('broken', { wait: true })).rejects.toThrow('broken');
    }
    const before = (await first.status()).services[0];
    first.process.signal('SIGKILL');
    await first.process.ended;
    await using second = await place.start(config);
    const after = (await second.status()).services[0];
    expect(after).toMatchObject({
      state: 'failed',
      starts: 3,
      failures: 3,
      lastExit: before?.lastExit,
      lastWake: before?.lastWake,
      failure: { reason: before?.failure?.reason, retryAt: before?.failure?.retryAt },
    });
  });
});
