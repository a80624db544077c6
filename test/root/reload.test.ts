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
import { ServedRouse } from './served-rouse.js';

/** `enforce` is what `RunningRouse.start` adds to the first configuration. */
const withIsolation = (config: object) => ({ enforce: 'required', ...config });

const named = (host: string, name: string, settings = {}) =>
  helloService('web', {
    routes: [{ host }],
    idle: 'never',
    run: { environment: { NAME: name } },
    ...settings,
  });

const LISTENERS = listenersOf({ web: 'http', db: 'tcp' });
const echo = serviceOf(['echo-server.js', 3000], { routes: [{ listener: 'db' }], idle: 'never' });

describe.skipIf(whyNoIsolation !== null)(titled('a reload'), () => {
  test('by SIGHUP puts the file as it is now into effect; a bad file changes nothing', async () => {
    const config = { listeners: LISTENERS, services: { app: named('app', 'first') } };
    await using rouse = await ServedRouse.start(config);
    const port = await rouse.port('web');
    const ask = async (host: string) => (await get(port, '/', { host })).body;
    const before = JSON.stringify(
      (await rouse.status()).listeners.map(({ addresses }) => addresses),
    );

    rouse.writeConfig({ ...config, services: { app: { ...named('app', 'x'), upstrem: 'tcp:1' } } });
    rouse.process.signal('SIGHUP');
    await rouse.process.waitForOutput(/reload refused, nothing has changed: .*upstrem/);
    const { code, stderr } = await rouse.command('reload');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^rouse: .*rouse\.yaml:\d+:\d+: services\.app\.upstrem: unknown key/);
    expect(await ask('app')).toContain('hello from first');
    const { listeners } = await rouse.status();
    expect(JSON.stringify(listeners.map(({ addresses }) => addresses))).toBe(before);

    const services = { app: named('app', 'first'), more: named('more', 'second') };
    rouse.writeConfig({ ...config, services });
    rouse.process.signal('SIGHUP');
    await rouse.process.waitForOutput(/reloaded: 1 added, 0 removed, 0 changed/);
    expect(await ask('more')).toContain('hello from second');
    const same = await rouse.command('reload');
    expect(same).toMatchObject({ code: 0, stdout: 'nothing changed\n' });
  });

  test('adds, removes and changes services, and says so', async () => {
    const services = { stays: named('stays', 'a'), goes: named('goes', 'b'), echo };
    await using running = await RunningRouse.start({ listeners: LISTENERS, services });
    const port = await running.port('web');
    const ask = (host: string) => get(port, '/', { host });
    await ask('stays');
    await ask('goes');
    await using client = await RawClient.connect({ port: await running.port('db') });
    await client.send('one\n');
    await client.readText('one');
    const { pid } = await running.service('stays');

    const report = await running.rouse.reload(
      withIsolation({
        listeners: LISTENERS,
        services: { stays: services.stays, comes: named('comes', 'c'), echo },
      }),
    );
    expect(report).toMatchObject({ added: ['service comes'], removed: ['service goes'] });
    expect((await ask('comes')).body).toContain('hello from c');
    expect((await ask('goes')).status).toBe(404);
    expect(await running.service('stays')).toMatchObject({ pid, starts: 1 });
    await expect(running.service('goes')).rejects.toThrow('no service goes');
    await client.send('two\n');
    await client.readText('two');
  });

  test('a changed service goes on until its next start; asleep it takes the change at once', async () => {
    const awake = (name: string) => named('awake', name);
    const asleep = (name: string) => named('asleep', name);
    const config = (name: string) =>
      withIsolation({
        listeners: LISTENERS,
        services: { awake: awake(name), asleep: asleep(name) },
      });
    await using running = await RunningRouse.start(config('old'));
    const port = await running.port('web');
    const ask = async (host: string) => (await get(port, '/', { host })).body;
    expect(await ask('awake')).toContain('hello from old');
    const { pid } = await running.service('awake');
    const report = await running.rouse.reload(config('new'));
    expect(report.changed.toSorted()).toEqual(['service asleep', 'service awake']);
    expect(report.deferred).toEqual(['service awake']);
    expect(await ask('asleep')).toContain('hello from new');
    expect(await ask('awake')).toContain('hello from old');
    expect(await running.service('awake')).toMatchObject({ pid, starts: 1 });
    await running.rouse.restart('awake');
    expect(await ask('awake')).toContain('hello from new');
  });

  test('what takes effect at once does so while the service is awake', async () => {
    const config = (settings: object) =>
      withIsolation({ listeners: LISTENERS, services: { app: named('app', 'a', settings) } });
    await using running = await RunningRouse.start(config({}));
    const port = await running.port('web');
    expect((await get(port, '/', { host: 'app' })).status).toBe(200);
    await running.rouse.reload(config({ access: { deny: ['127.0.0.0/8'] } }));
    expect((await get(port, '/', { host: 'app' })).status).toBe(403);
    await running.rouse.reload(config({ routes: [{ host: 'other' }] }));
    expect((await get(port, '/', { host: 'app' })).status).toBe(404);
    expect((await get(port, '/', { host: 'other' })).status).toBe(200);
    expect(await running.service('app')).toMatchObject({ starts: 1 });
    await running.rouse.reload(config({ idle: { stop: '50ms' } }));
    await running.untilState('app', 'stopped');
  });

  test('listeners come and go; open connections of one that goes are served on', async () => {
    const services = { app: named('app', 'a'), echo };
    await using running = await RunningRouse.start({ listeners: LISTENERS, services });
    const [web, db] = [await running.port('web'), await running.port('db')];
    await using client = await RawClient.connect({ port: db });
    await client.send('one\n');
    await client.readText('one');

    const { routes: _, ...unrouted } = echo;
    const extra = { address: '127.0.0.1:0', protocol: 'http' };
    await running.rouse.reload(
      withIsolation({
        listeners: { web: LISTENERS.web, extra },
        services: { ...services, echo: unrouted },
      }),
    );
    expect((await get(web, '/', { host: 'app' })).status).toBe(200);
    expect((await get(await running.port('extra'), '/', { host: 'app' })).status).toBe(200);
    await expect(RawClient.connect({ port: db })).rejects.toThrow('ECONNREFUSED');
    await client.send('two\n');
    await client.readText('two');
  });

  test('a listener that cannot be bound refuses the reload as a whole', async () => {
    const config = { listeners: LISTENERS, services: { app: named('app', 'a') } };
    await using running = await RunningRouse.start(config);
    const port = await running.port('web');
    const taken = { address: `127.0.0.1:${port}`, protocol: 'http' };
    const wrong = { listeners: { ...LISTENERS, taken }, services: { app: named('renamed', 'a') } };
    await expect(running.rouse.reload(withIsolation(wrong))).rejects.toMatchObject({
      code: 'bind',
      message: expect.stringContaining(
        `listener taken: cannot bind 127.0.0.1:${port}: address already in use`,
      ),
    });
    expect((await get(port, '/', { host: 'app' })).status).toBe(200);
    expect((await get(port, '/', { host: 'renamed' })).status).toBe(404);
  });

  test('twenty reloads under continuous requests: none of them fails', async () => {
    const config = (round: number) =>
      withIsolation({
        listeners: {
          ...LISTENERS,
          [`extra${round}`]: { address: '127.0.0.1:0', protocol: 'http' },
        },
        services: {
          app: named('app', `round ${round}`, { idle: { stop: '200ms' } }),
          echo,
          [`service${round}`]: named(`host${round}`, 'x'),
        },
      });
    await using running = await RunningRouse.start(config(0));
    const [web, db] = [await running.port('web'), await running.port('db')];
    const failures: unknown[] = [];
    let answered = 0;
    let isOver = false;
    const askAgainAndAgain = async (): Promise<void> => {
      while (!isOver) {
        const { status, body } = await get(web, '/', { host: 'app' });
        if (status !== 200) failures.push([status, body]);
        answered += 1;
      }
    };
    const echoAgainAndAgain = async (): Promise<void> => {
      while (!isOver) {
        await using client = await RawClient.connect({ port: db });
        await client.send('word\n');
        await client.readText('word');
        answered += 1;
      }
    };
    const clients = [askAgainAndAgain, askAgainAndAgain, askAgainAndAgain, echoAgainAndAgain].map(
      (ask) => ask().catch((error) => failures.push(error)),
    );
    await using open = await RawClient.connect({ port: db });
    for (let round = 1; round <= 20; round += 1) {
      const goal = answered + 10;
      await running.rouse.reload(config(round));
      await waitFor(() => answered >= goal || failures.length > 0);
      await open.send(`round ${round};`);
      await open.readText(`round ${round};`);
    }
    isOver = true;
    await Promise.all(clients);
    expect(failures).toEqual([]);
  }, 60_000);
});
