import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import {
  helloService,
  listenersOf,
  RunningRouse,
  serviceOf,
  titled,
  whyNoIsolation,
} from './root-support.js';

const CONFIG = {
  listeners: {
    ...listenersOf({ web: 'http' }),
    plain: { address: '127.0.0.1:0', protocol: 'http', redirect: 'https' },
  },
  services: {
    blog: helloService('web', {
      routes: [{ host: 'blog.test' }],
      run: { environment: { NAME: 'blog' } },
    }),
    wiki: helloService('web', {
      routes: [{ host: 'wiki.test' }],
      run: { environment: { NAME: 'wiki' } },
    }),
    untouched: helloService('web', { routes: [{ host: 'untouched.test' }] }),
    chat: serviceOf(['websocket-server.js', 3000], { routes: [{ host: 'chat.test' }] }),
  },
};

/** Both lengths: whoever believes the other one sees another request. */
const SMUGGLED = [
  'POST / HTTP/1.1',
  'Host: untouched.test',
  'Content-Length: 4',
  'Transfer-Encoding: chunked',
  '',
  '0',
  '',
  'GET /smuggled HTTP/1.1',
  'Host: untouched.test',
  '',
  '',
].join('\r\n');

describe.skipIf(whyNoIsolation !== null)(titled('HTTP through rouse'), () => {
  let running: RunningRouse;
  let web: number;

  beforeAll(async () => {
    running = await RunningRouse.start(CONFIG);
    web = await running.port('web');
  });

  afterAll(() => running?.[Symbol.asyncDispose]());

  test('two requests on one connection wake and reach two services', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<net.Socket>();
    agent.on('free', (socket: net.Socket) => sockets.add(socket));
    for (const name of ['blog', 'wiki', 'blog']) {
      const { body } = await get(web, `/of/${name}`, { host: `${name}.test`, agent });
      expect(body).toMatch(new RegExp(`^hello from ${name}, .* path /of/${name}\n$`));
    }
    expect(sockets.size).toBe(1);
    agent.destroy();
    expect(await running.service('blog')).toMatchObject({ starts: 1, requests: { total: 2 } });
  });

  test('a service sees who asked for what, and not what the client claims about it', async () => {
    const headers = { 'X-Forwarded-For': '203.0.113.9', Forwarded: 'for=203.0.113.9' };
    const { body } = await get(web, '/headers', { host: 'Blog.test:80', headers });
    const { rawHeaders } = JSON.parse(body) as { rawHeaders: string[] };
    const seen = (name: string) =>
      rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() === name);
    expect(seen('host')).toEqual(['Blog.test:80']);
    expect(seen('x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(seen('x-forwarded-proto')).toEqual(['http']);
    expect(seen('x-forwarded-host')).toEqual(['Blog.test:80']);
    expect(seen('forwarded')).toHaveLength(1);
    expect(seen('forwarded')[0]).toContain('for=127.0.0.1');
  });

  test('a WebSocket that wakes its service is open both ways, and ends with the client', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${web}/room`, { headers: { host: 'chat.test' } });
    await once(socket, 'open');
    for (const message of ['first', 'x'.repeat(200_000), 'last']) {
      socket.send(message);
      const [answer] = (await once(socket, 'message')) as [Buffer];
      expect(answer.toString()).toBe(`/room: ${message}`);
    }
    expect(await running.service('chat')).toMatchObject({ starts: 1, connections: 1 });
    socket.close(1000);
    expect(await once(socket, 'close')).toEqual([1000, expect.anything()]);
    expect(await running.rouse.sleep('chat')).toMatchObject({ state: 'stopped' });
  });

  test('a host that nobody has is told so and wakes nothing', async () => {
    const { status, body } = await get(web, '/', { host: 'nobody.test' });
    expect({ status, lines: body.split('\n').length }).toEqual({ status: 404, lines: 2 });
    expect(await running.service('untouched')).toMatchObject({ starts: 0 });
  });

  test('a request that can be read in two ways is refused, and its service sleeps on', async () => {
    await using client = await RawClient.connect({ port: web });
    await client.send(SMUGGLED);
    const answer = (await client.readToEnd()).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(await running.service('untouched')).toMatchObject({ state: 'stopped', starts: 0 });
  });

  test('a listener that redirects sends the client to https and wakes nothing', async () => {
    const port = await running.port('plain');
    const { status, headers } = await get(port, '/a?b=c', { host: `untouched.test:${port}` });
    expect({ status, location: headers.location }).toEqual({
      status: 308,
      location: 'https://untouched.test/a?b=c',
    });
    expect(await running.service('untouched')).toMatchObject({ starts: 0 });
  });
});
