import http from 'node:http';
import { expect, it } from 'vitest';
import { Refusal } from '../../src/ipc/refusals.js';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import { runToEnd } from '../support/run-process.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineFactory, ListenerSpec } from './engine-rig.js';
import { createHttpRig } from './http-rig.js';
import { startHttpServer, startTcpServer } from './servers.js';

/** Routing, headers and refusals: what users of `http` listeners notice. */
export function httpCases(createEngine: EngineFactory): void {
  it('two requests on one connection go to two services, answered in order', async () => {
    await using slow = await startHttpServer((_, response) => {
      setTimeout(() => response.end('from a'), 50);
    });
    await using fast = await startHttpServer((_, response) => response.end('from b'));
    await using rig = createHttpRig(createEngine, [slow.port, fast.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      'GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: B.EXAMPLE.:80\r\n\r\n' +
        'GET /3 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n',
    );
    const text = (await client.readToEnd()).toString();
    expect(text.match(/from [ab]/g)).toEqual(['from a', 'from b', 'from a']);
    await rig.host.allUsesEnded();
    expect(
      rig.host.accesses.map(({ service, target, status }) => [service, target, status]),
    ).toEqual([
      ['a', '/1', 200],
      ['b', '/2', 200],
      ['a', '/3', 200],
    ]);
  });

  it('requests reuse the connection to the service', async () => {
    await using server = await startHttpServer((_, response) => response.end('ok'));
    await using rig = createHttpRig(createEngine, [server.port]);
    for (let count = 0; count < 3; count++) {
      expect((await get(rig.port('web'), '/', { host: 'a.example' })).body).toBe('ok');
      await rig.host.allUsesEnded();
    }
    expect(rig.host.dials).toBe(1);
    rig.engine.closePooled('a', 1);
    expect((await get(rig.port('web'), '/', { host: 'a.example' })).body).toBe('ok');
    expect(rig.host.dials).toBe(2);
  });

  it('a server that closes idle connections at once costs no request', async () => {
    let served = 0;
    await using server = await startTcpServer((socket) => {
      socket.on('data', () => {
        served += 1;
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        if (served % 2 === 1) setImmediate(() => socket.resetAndDestroy());
      });
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    for (let count = 0; count < 20; count++) {
      const answer = await get(rig.port('web'), '/', { host: 'a.example' });
      expect(answer.status).toBe(200);
    }
  });

  it('a POST is not sent on a connection that the server has ended meanwhile', async () => {
    await using server = await startTcpServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    for (let count = 1; count <= 5; count++) {
      const options = { host: 'a.example', method: 'POST', body: 'x' };
      expect((await get(rig.port('web'), '/', options)).status).toBe(200);
      await rig.host.allUsesEnded();
      await waitFor(() => server.ended === count, { what: 'the connection to be given up' });
    }
  });

  it('an unknown host is answered with 404 and wakes nothing; the connection goes on', async () => {
    await using server = await startHttpServer((_, response) => response.end('ok'));
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.1\r\nHost: c.example\r\n\r\n');
    const text = await client.readText('\n\n'.slice(1));
    await client.readText('answers to this name.\n');
    expect(text).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
    expect(rig.host.demands).toHaveLength(0);
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await client.readText('200 OK');
  });

  it('a refused service is answered with its status, a sentence and when to come again', async () => {
    await using rig = createHttpRig(createEngine, [1]);
    rig.host.refuseWith = new Refusal('backoff', 2_300, 'secret output');
    const answer = await get(rig.port('web'), '/', { host: 'a.example' });
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('3');
    expect(answer.headers['content-type']).toContain('text/plain');
    expect(answer.body).toBe('The service failed to start and will be tried again shortly.\n');
    expect(rig.host.refusals[0]).toMatchObject({ code: 'backoff', detail: 'secret output' });
    const head = await get(rig.port('web'), '/', { host: 'a.example', method: 'HEAD' });
    expect([head.status, head.body]).toEqual([503, '']);
  });

  it('a refused upload is answered although nobody reads it', async () => {
    await using rig = createHttpRig(createEngine, [1]);
    rig.host.refuseWith = new Refusal('start-failed');
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10000000\r\n\r\n');
    void client.send(Buffer.alloc(500_000));
    const text = (await client.readToEnd()).toString();
    expect(text).toMatch(/^HTTP\/1\.1 503 [\s\S]*Connection: close[\s\S]*did not start\.\n$/);
  });

  it('a service that cannot be dialled is a 502', async () => {
    await using rig = createHttpRig(createEngine, [1]);
    const answer = await get(rig.port('web'), '/', { host: 'a.example' });
    expect([answer.status, answer.body]).toEqual([502, 'The service does not take connections.\n']);
    await rig.host.allUsesEnded();
  });

  it('a service that breaks off before it answers is a 502', async () => {
    await using server = await startTcpServer((socket) => {
      socket.on('data', () => socket.destroy());
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    const answer = await get(rig.port('web'), '/', { host: 'a.example' });
    expect([answer.status, answer.body]).toEqual([
      502,
      'The service broke off before it answered.\n',
    ]);
    await rig.host.allUsesEnded();
  });

  it('the service learns who asked for what, in the headers that proxies set', async () => {
    await using server = await startHttpServer((request, response) => {
      response.end(JSON.stringify({ url: request.url, raw: request.rawHeaders }));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      'GET //x//y?a=/../b HTTP/1.1\r\nhOST: a.example:81\r\nX-Forwarded-For: 6.6.6.6\r\n' +
        'X-One: 1\r\nX-One: 2\r\nAccept: */*\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n\r\n',
    );
    const text = (await client.readToEnd()).toString();
    const { url, raw } = JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1));
    expect(url).toBe('//x//y?a=/../b');
    const lines: string[] = [];
    for (let at = 0; at < raw.length; at += 2) lines.push(`${raw[at]}: ${raw[at + 1]}`);
    expect(lines).toContain('Host: a.example:81');
    expect(lines).toContain('X-One: 1');
    expect(lines).toContain('X-One: 2');
    expect(lines).toContain('X-Forwarded-For: 127.0.0.1');
    expect(lines).toContain('X-Forwarded-Proto: http');
    expect(lines).toContain('X-Forwarded-Host: a.example:81');
    expect(lines.find((line) => line.startsWith('Forwarded: '))).toContain('for=127.0.0.1');
    expect(lines.join()).not.toContain('X-Secret');
  });

  it('a trusted proxy is believed, and no longer when the settings say so', async () => {
    await using server = await startHttpServer((request, response) => {
      response.end(request.headers['x-forwarded-for']);
    });
    const trusting: ListenerSpec = {
      name: 'web',
      protocol: 'http',
      trustedProxies: ['127.0.0.0/8'],
    };
    await using rig = createHttpRig(createEngine, [server.port], { listeners: [trusting] });
    const ask = () =>
      get(rig.port('web'), '/', { host: 'a.example', headers: { 'X-Forwarded-For': '6.6.6.6' } });
    expect((await ask()).body).toBe('6.6.6.6, 127.0.0.1');
    rig.update([{ ...trusting, trustedProxies: [] }]);
    expect((await ask()).body).toBe('127.0.0.1');
  });

  it('an absolute target wins over Host', async () => {
    await using server = await startHttpServer((request, response) => {
      response.end(`${request.headers.host} ${request.url}`);
    });
    await using rig = createHttpRig(createEngine, [1, server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      'GET http://B.example:99/p?q HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n',
    );
    expect((await client.readToEnd()).toString()).toMatch(/B\.example:99 \/p\?q/);
  });

  it('http redirects to https where the listener says so, before any route', async () => {
    await using rig = createHttpRig(createEngine, [1], { listener: { redirect: 'https' } });
    const answer = await get(rig.port('web'), '/p?q=1', { host: 'A.example:8080', method: 'POST' });
    expect([answer.status, answer.headers.location]).toEqual([308, 'https://a.example/p?q=1']);
    expect(rig.host.demands).toHaveLength(0);
  });

  it('a denied source is told so', async () => {
    await using rig = createHttpRig(createEngine, [1]);
    rig.host.admitRefusal = 'access-denied';
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    expect((await client.readToEnd()).toString()).toMatch(
      /^HTTP\/1\.1 403 [\s\S]*Connection: close[\s\S]*may not use this service\.\n$/,
    );
    expect(rig.host.demands).toHaveLength(0);
  });

  it('an engine that drains answers what is in flight and ends idle connections', async () => {
    let answer = (): void => {};
    await using server = await startHttpServer((_, response) => {
      answer = () => response.end('done');
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using idle = await RawClient.connect({ port: rig.port('web') });
    await idle.send('GET / HTTP/1.1\r\nHost: c.example\r\n\r\n');
    await idle.readText('name.\n');
    await using busy = await RawClient.connect({ port: rig.port('web') });
    await busy.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await waitFor(() => rig.host.demands[0] && server.server.listenerCount('request') && answer);
    const drained = rig.engine.drain(false, false);
    await idle.readToEnd();
    await waitFor(() => {
      answer();
      return busy.received.length > 0;
    });
    expect((await busy.readToEnd()).toString()).toMatch(/Connection: close[\s\S]*done/);
    idle.end();
    busy.end();
    await drained;
  });

  it('a replaced engine lets connections ask once more, and says that it is the last time', async () => {
    let end = (): void => {};
    await using server = await startHttpServer((request, response) => {
      if (request.url !== '/slow') return response.end('done');
      response.write('begun ');
      end = () => response.end('slow');
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    const ask = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`;
    await using idle = await RawClient.connect({ port: rig.port('web') });
    await idle.send(ask('/one'));
    await idle.readText('done');
    await using busy = await RawClient.connect({ port: rig.port('web') });
    await busy.send(ask('/slow'));
    await busy.readText('begun');
    const drained = rig.engine.drain(false, true);
    await idle.send(ask('/two'));
    expect((await idle.readToEnd()).toString()).toMatch(
      /done[\s\S]*200 OK[\s\S]*Connection: close[\s\S]*done/,
    );
    end();
    await busy.readText('slow');
    await busy.send(ask('/three'));
    const answers = (await busy.readToEnd()).toString().split('HTTP/1.1 200 OK');
    expect(answers[1]).not.toContain('Connection: close');
    expect(answers[2]).toMatch(/Connection: close[\s\S]*done/);
    idle.end();
    busy.end();
    await drained;
  });

  it('a service that goes while it answers nothing yet is a 502', async () => {
    let requests = 0;
    await using server = await startHttpServer(() => {
      requests += 1;
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    const asked = get(rig.port('web'), '/', { host: 'a.example' });
    await waitFor(() => requests === 1);
    rig.engine.closeInstance('a', 1);
    expect((await asked).status).toBe(502);
    await rig.host.allUsesEnded();
  });

  it('curl gets its page, and a thousand requests of ten clients all answer', async () => {
    await using server = await startHttpServer((request, response) => response.end(request.url));
    await using rig = createHttpRig(createEngine, [server.port]);
    const url = `http://127.0.0.1:${rig.port('web')}/[1-3]`;
    const curl = await runToEnd(['curl', '-sS', '-H', 'Host: a.example', url]);
    expect(curl).toMatchObject({ code: 0, stdout: '/1/2/3' });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 10 });
    const asks = Array.from({ length: 1_000 }, (_, index) =>
      get(rig.port('web'), `/${index}`, { host: 'a.example', agent }),
    );
    const answers = await Promise.all(asks);
    expect(answers.filter(({ body }, index) => body === `/${index}`)).toHaveLength(1_000);
    agent.destroy();
    await rig.host.allUsesEnded();
  });
}
