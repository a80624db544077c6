import { once } from 'node:events';
import { rmSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { readStatusField } from '../support/processes.js';
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

const onWeb = (host: string) => ({ routes: [{ host }] });
const helloOn = (host: string, address: string, settings = {}) =>
  serviceOf(['http-hello.js', 3000], {
    ...onWeb(host),
    ...settings,
    run: { environment: { HOST: address, NAME: host } },
  });

const link = (path: string, target: string) =>
  ['sh', '-c', `ln -s ${target} ${path}; echo linked; exec sleep 1000`] as const;

const configWith = (outsidePath: string) => ({
  listeners: listenersOf({ web: 'http', creds: 'tcp', out: 'tcp', up: 'tcp' }),
  services: {
    port: helloOn('port', '127.0.0.1', { upstream: 'tcp:3000' }),
    other: helloOn('other', '127.0.0.77', { upstream: 'tcp:127.0.0.77:3000' }),
    six: helloOn('six', '::1', { upstream: 'tcp:[::1]:3000' }),
    eighty: serviceOf(['http-hello.js', 80], { ...onWeb('eighty'), upstream: 'tcp:80' }),
    unix: serviceOf(['unix-server.js', '/run/app/http.sock'], {
      ...onWeb('unix'),
      upstream: 'unix:/run/app/http.sock',
    }),
    creds: serviceOf(['peer-credentials.pl', '/run/app/creds.sock'], {
      routes: [{ listener: 'creds' }],
      upstream: 'unix:/run/app/creds.sock',
    }),
    socket: serviceOf(['listen-fds-server.js'], { ...onWeb('socket'), upstream: 'socket' }),
    // A service that turns its socket into a way to the host's.
    absolute: {
      routes: [{ listener: 'out' }],
      run: { command: link('/run/app/s.sock', outsidePath) },
      upstream: 'unix:/run/app/s.sock',
      start_timeout: '500ms',
    },
    upwards: {
      routes: [{ listener: 'up' }],
      run: { command: link('/run/app/s.sock', `../../../../../..${outsidePath}`) },
      upstream: 'unix:/run/app/s.sock',
      start_timeout: '500ms',
    },
  },
});

describe.skipIf(whyNoIsolation !== null)(titled('upstreams'), () => {
  const directory = makeTemporaryDirectory();
  const outsidePath = join(directory.path, 'outside.sock');
  const visitors: net.Socket[] = [];
  const outside = net.createServer((socket) => {
    visitors.push(socket.end('the host\n'));
  });
  let running: RunningRouse;
  beforeAll(async () => {
    outside.listen(outsidePath);
    await once(outside, 'listening');
    running = await RunningRouse.start(configWith(outsidePath));
  });
  afterAll(async () => {
    await running?.rouse.close();
    outside.close();
    rmSync(directory.path, { recursive: true });
  });

  const ask = async (host: string) => get(await running.port('web'), '/x', { host });
  const readAll = async (listener: string) => {
    await using client = await RawClient.connect({ port: await running.port(listener) });
    return (await client.readToEnd()).toString();
  };

  test.each(['port', 'other', 'six'])(
    'tcp: the service %s is reached on its own loopback',
    async (name) => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(name)));
      for (const { body } of answers) expect(body).toContain(`hello from ${name}`);
    },
  );

  test('tcp:80: inside its VPS a service that is not root binds any port', async () => {
    expect((await ask('eighty')).body).toContain('hello');
    const { pid } = await running.service('eighty');
    expect(Number(readStatusField(pid ?? 0, 'Uid').split('\t')[0])).toBeGreaterThan(0);
  });

  test('unix: many requests at once, in a folder that only the service has', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask('unix')));
    for (const { body } of answers) expect(body).toContain('hello from /run/app/http.sock');
  });

  test('unix: the server sees the identity of its own service as its client', async () => {
    const [, client, clientGroup, server, group] =
      /^client (\d+) (\d+), server (\d+) (\d+)$/m.exec(await readAll('creds')) ?? [];
    expect(Number(server)).toBeGreaterThan(0);
    expect([client, clientGroup]).toEqual([server, group]);
  });

  test.each([
    ['absolute', 'out'],
    ['upwards', 'up'],
  ])(
    'unix: a symlink in place of the socket (%s) does not lead to the host',
    async (name, listener) => {
      expect(await readAll(listener)).toBe('');
      await running.untilState(name, 'failed');
      expect((await running.rouse.explain(name)).lastOutput).toEqual(['linked']);
      expect((await running.service(name)).failure?.reason).toMatch(/ENOENT/);
      expect(visitors).toEqual([]);
    },
  );

  test('socket: the service inherits a listening socket, as systemd passes it', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask('socket')));
    for (const { body } of answers) expect(body).toMatch(/names socket, path \/x/);
    const [, inside] = /from pid (\d+)/.exec(answers[0]?.body ?? '') ?? [];
    const { pid } = await running.service('socket');
    expect(readStatusField(pid ?? 0, 'NSpid')).toMatch(
      new RegExp(`^${pid}\\t(\\d+\\t)?${inside}$`),
    );
    expect((await running.rouse.explain('socket')).lastOutput).toEqual([
      'listening on descriptor 3',
    ]);
  });
});

describe.skipIf(whyNoIsolation !== null)(titled('network: host'), () => {
  test('the service shares the network of the host, and nothing else of it', async () => {
    const probe = net.createServer((socket) => socket.end('from the host'));
    probe.listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as net.AddressInfo;
    probe.close();
    await using running = await RunningRouse.start({
      listeners: listenersOf({ web: 'http' }),
      services: {
        shared: helloService('web', {
          run: { command: ['./http-hello.js', String(port)] },
          upstream: `tcp:${port}`,
          isolation: { network: 'host' },
        }),
      },
    });
    expect((await get(await running.port('web'), '/')).body).toContain('hello');
    expect((await get(port, '/direct')).body).toContain('path /direct');
    const { pid } = await running.service('shared');
    await waitFor(() => readStatusField(pid ?? 0, 'NSpid').includes('\t'));
  });
});
