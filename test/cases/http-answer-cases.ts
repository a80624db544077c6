import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineFactory } from './engine-rig.js';
import { createHttpRig } from './http-rig.js';
import { startHttpServer, startTcpServer } from './servers.js';

/** What becomes of a service's answers, sound and unsound ones. */
export function httpAnswerCases(createEngine: EngineFactory): void {
  it('an answer keeps its headers: case, order, repeated ones, and no more', async () => {
    await using server = await startTcpServer((socket) => {
      socket.on('data', () =>
        socket.write(
          'HTTP/1.1 299 Fine by me\r\nsErVer: me\r\nSet-Cookie: a=1\r\nX-B: ä\r\nSet-Cookie: b=2\r\n' +
            'Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=3\r\nContent-Length: 2\r\n\r\nok',
          'latin1',
        ),
      );
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n');
    expect((await client.readToEnd()).toString('latin1')).toBe(
      'HTTP/1.1 299 Fine by me\r\nsErVer: me\r\nSet-Cookie: a=1\r\nX-B: ä\r\nSet-Cookie: b=2\r\n' +
        'Content-Length: 2\r\nConnection: close\r\n\r\nok',
    );
  });

  it('HTTP/1.0 clients get the body as it is, and keep the connection only if they ask', async () => {
    await using server = await startHttpServer((request, response) => {
      if (request.url === '/sized') response.setHeader('Content-Length', 4);
      response.write('ab');
      response.end('cd');
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      'GET /sized HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\nHost: a.example\r\n\r\n',
    );
    const text = (await client.readToEnd()).toString();
    expect(text).not.toMatch(/chunked/i);
    expect(text).toMatch(
      /Connection: keep-alive[\s\S]*\r\n\r\nabcdHTTP\/1\.1[\s\S]*Connection: close[\s\S]*\r\n\r\nabcd$/,
    );
  });

  it('HEAD, 204 and 304 have no body, and the connection goes on', async () => {
    await using server = await startHttpServer((request, response) => {
      if (request.url === '/204') response.writeHead(204);
      else if (request.url === '/304')
        response.writeHead(304, { 'Content-Length': 9, ETag: '"x"' });
      else response.writeHead(200, { 'Content-Length': 9 });
      response.end(request.url === '/head' ? undefined : 'some body');
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      ['HEAD /head', 'GET /204', 'GET /304', 'GET /200']
        .map((line) => `${line} HTTP/1.1\r\nHost: a.example\r\n\r\n`)
        .join(''),
    );
    const text = await client.readText('some body');
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 204',
      'HTTP/1.1 304',
      'HTTP/1.1 200',
    ]);
    expect(text.match(/some body/g)).toHaveLength(1);
    expect(text).not.toMatch(/204 No Content\r\n(?:[^\r]+\r\n)*Transfer-Encoding/i);
  });

  it('an answer that ends with its connection arrives whole', async () => {
    await using server = await startTcpServer((socket) => {
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil the end'));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    expect((await get(rig.port('web'), '/', { host: 'a.example' })).body).toBe('until the end');
  });

  it('an answer that is cut short is seen to be', async () => {
    await using server = await startTcpServer((socket) => {
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
        setTimeout(() => socket.destroy(), 20);
      });
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await expect(get(rig.port('web'), '/', { host: 'a.example' })).rejects.toThrow('aborted');
    await using old = await RawClient.connect({ port: rig.port('web') });
    await old.send('GET / HTTP/1.0\r\nHost: a.example\r\n\r\n');
    await expect(old.readUntil(() => false)).rejects.toMatchObject({
      cause: { code: 'ECONNRESET' },
    });
    await rig.host.allUsesEnded();
  });

  describe.each([
    ['ends', (socket: Socket) => socket.end()],
    ['breaks off', (socket: Socket) => socket.resetAndDestroy()],
  ])('a service that %s in the middle of', (_, leave) => {
    it.each([
      ['an answer with a length', 'Content-Length: 100\r\n\r\n', 'hello'],
      ['a long answer with a length', 'Content-Length: 3000000\r\n\r\n', 'x'.repeat(2_000_000)],
      ['a chunk', 'Transfer-Encoding: chunked\r\n\r\n', '10\r\nhello'],
      ['an answer in chunks', 'Transfer-Encoding: chunked\r\n\r\n', '5\r\nhello\r\n'],
      ['its last chunk', 'Transfer-Encoding: chunked\r\n\r\n', '5\r\nhello\r\n0\r\n'],
    ])('%s leaves no client with what could be all of it', async (_name, head, body) => {
      await using server = await startTcpServer((socket) => {
        socket.once('data', () => {
          socket.write(`HTTP/1.1 200 OK\r\n${head}`);
          socket.write(body, () => setTimeout(() => leave(socket), 20));
        });
      });
      await using rig = createHttpRig(createEngine, [server.port]);
      await expect(get(rig.port('web'), '/', { host: 'a.example' })).rejects.toThrow('aborted');
      await using old = await RawClient.connect({ port: rig.port('web') });
      await old.send('GET / HTTP/1.0\r\nHost: a.example\r\n\r\n');
      const ended = await old.readUntil(() => false).catch(({ cause }) => cause);
      // With a length the client counts; without one only a reset tells.
      if (!head.startsWith('Content-Length')) expect(ended).toMatchObject({ code: 'ECONNRESET' });
      await rig.host.allUsesEnded();
    });
  });

  it('a service that breaks off where only the end would tell is seen to', async () => {
    await using server = await startTcpServer((socket) => {
      socket.once('data', () => {
        const bytes = 'HTTP/1.1 200 OK\r\n\r\nhello';
        socket.write(bytes, () => setTimeout(() => socket.resetAndDestroy(), 20));
      });
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await expect(get(rig.port('web'), '/', { host: 'a.example' })).rejects.toThrow('aborted');
    await using old = await RawClient.connect({ port: rig.port('web') });
    await old.send('GET / HTTP/1.0\r\nHost: a.example\r\n\r\n');
    const ended = await old.readUntil(() => false).catch(({ cause }) => cause);
    expect(ended).toMatchObject({ code: 'ECONNRESET' });
  });

  it.each([
    ['both lengths', 'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ['two lengths', 'Content-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    ['a bare CR in a header', 'X-A: 1\rX-B: 2\r\nContent-Length: 2\r\n\r\nok'],
  ])('an answer with %s is a 502', async (_, rest) => {
    await using server = await startTcpServer((socket) => {
      socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\n${rest}`));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    expect((await get(rig.port('web'), '/', { host: 'a.example' })).status).toBe(502);
  });

  it('what an idle upstream connection says unasked is not taken for the next answer', async () => {
    let served = 0;
    await using server = await startTcpServer((socket) => {
      socket.on('data', () => {
        served += 1;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${served}`);
        const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
        if (served === 1) setTimeout(() => socket.write(poison), 20);
      });
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    expect((await get(rig.port('web'), '/', { host: 'a.example' })).body).toBe('1');
    await waitFor(() => server.connections === 1 && rig.host.openUses === 0);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect((await get(rig.port('web'), '/', { host: 'a.example' })).body).toBe('2');
  });
}
