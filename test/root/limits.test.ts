import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

const web = (host: string, settings: object) =>
  helloService('web', { routes: [{ host }], ...settings });

const CONFIG = {
  listeners: {
    ...listenersOf({ web: 'http', db: 'tcp' }),
    // Clients of other loopback addresses reach it too.
    open: { address: '0.0.0.0:0', protocol: 'http', access: { deny: ['127.0.0.9'] } },
  },
  services: {
    connections: web('connections', { limits: { connections: 2 } }),
    source: helloService('open', { limits: { per_source: 1 } }),
    rate: web('rate', { limits: { rate: '3/m' } }),
    access: web('access', { access: { allow: ['127.0.0.0/8'], deny: ['127.0.0.1'] } }),
    db: serviceOf(['echo-server.js', 3000], {
      routes: [{ listener: 'db' }],
      limits: { connections: 1 },
    }),
  },
};

describe.skipIf(whyNoIsolation !== null)(titled('limits of a service'), () => {
  let running: RunningRouse;
  let port: number;
  beforeAll(async () => {
    running = await RunningRouse.start(CONFIG);
    port = await running.port('web');
  });
  afterAll(() => running?.rouse.close());

  const refusals = async (service: string) => (await running.rouse.explain(service)).refusals;

  test('more requests in flight than limits.connections are refused, and later ones are not', async () => {
    const ask = (path: string) => get(port, path, { host: 'connections' });
    await ask('/');
    const slow = [ask('/slow/1000'), ask('/slow/1000')];
    await waitFor(async () => (await running.service('connections')).requests.inFlight === 2);
    const refused = await ask('/');
    expect(refused.status).toBe(503);
    expect(refused.body).toContain('as many connections as it may');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await Promise.all(slow)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await ask('/')).status).toBe(200);
    expect(await refusals('connections')).toEqual({ 'connection-limit': 1 });
  });

  test('a TCP connection more than limits.connections is closed, the open one goes on', async () => {
    const dbPort = await running.port('db');
    await using first = await RawClient.connect({ port: dbPort });
    await first.send('one\n');
    await first.readText('one');
    await using second = await RawClient.connect({ port: dbPort });
    expect((await second.readToEnd()).toString()).toBe('');
    await first.send('two\n');
    await first.readText('two');
    expect(await refusals('db')).toEqual({ 'connection-limit': 1 });
  });

  test('limits.per_source counts each client address by itself', async () => {
    const openPort = await running.port('open');
    const request = 'GET /slow/60000 HTTP/1.1\r\nhost: x\r\n\r\n';
    const from = async (localAddress: string, text: string) => {
      const client = await RawClient.connect({ port: openPort, localAddress });
      await client.send(text);
      return client;
    };
    await running.rouse.wake('source');
    await using busy = await from('127.0.0.5', request);
    await waitFor(async () => (await running.service('source')).requests.inFlight === 1);
    await using refused = await from('127.0.0.5', request);
    await refused.readText('429 ');
    await using other = await from('127.0.0.6', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await other.readText('200 OK');
    busy.socket.resetAndDestroy();
    await waitFor(async () => (await running.service('source')).requests.inFlight === 0);
    await using again = await from('127.0.0.5', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await again.readText('200 OK');
  });

  test('more new requests than limits.rate are refused with the time to wait', async () => {
    const ask = () => get(port, '/', { host: 'rate' });
    const answers = [await ask(), await ask(), await ask(), await ask()];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 503]);
    expect(Number(answers[3]?.headers['retry-after'])).toBeGreaterThan(0);
    expect(answers[3]?.body).toContain('Too many new connections');
    expect(await refusals('rate')).toEqual({ 'rate-limit': 1 });
  });

  test('whom access of the service denies gets 403, and the service stays asleep', async () => {
    expect((await get(port, '/', { host: 'access' })).status).toBe(403);
    expect(await running.service('access')).toMatchObject({ state: 'stopped', starts: 0 });
    expect(await refusals('access')).toEqual({ 'access-denied': 1 });
  });

  test('whom access of the listener denies gets nothing of any of its services', async () => {
    const refused = async () =>
      (await running.rouse.status()).listeners.find(({ name }) => name === 'open')?.refused ?? 0;
    const before = await refused();
    await using client = await RawClient.connect({
      port: await running.port('open'),
      localAddress: '127.0.0.9',
    });
    await client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await client.readText('403 ');
    expect(await refused()).toBe(before + 1);
  });
});
