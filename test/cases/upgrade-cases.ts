import { once } from 'node:events';
import { expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineFactory } from './engine-rig.js';
import { createHttpRig } from './http-rig.js';
import { startHttpServer, startTcpServer } from './servers.js';

const UPGRADE =
  'GET /up HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n';

/** WebSocket and other protocols that begin as HTTP. */
export function upgradeCases(createEngine: EngineFactory): void {
  it('a WebSocket works both ways and closes cleanly', async () => {
    await using server = await startHttpServer((_, response) => response.end());
    const sockets = new WebSocketServer({ server: server.server });
    sockets.on('connection', (socket, request) => {
      socket.send(`hello ${request.url} ${request.headers['x-forwarded-for']}`);
      socket.on('message', (data) => socket.send(data));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    const client = new WebSocket(`ws://127.0.0.1:${rig.port('web')}/chat`, {
      headers: { host: 'a.example' },
    });
    const [greeting] = await once(client, 'message');
    expect(String(greeting)).toBe('hello /chat 127.0.0.1');
    const big = Buffer.alloc(3_000_000, 'x');
    client.send(big);
    const [echo] = (await once(client, 'message')) as [Buffer];
    expect(echo.equals(big)).toBe(true);
    expect(rig.host.openUses).toBe(1);
    client.close(1000);
    const [code] = await once(client, 'close');
    expect(code).toBe(1000);
    await rig.host.allUsesEnded();
    expect(rig.host.accesses).toMatchObject([{ status: 101, target: '/chat' }]);
    sockets.close();
  });

  it('bytes right behind an upgrade, on both sides, are not lost', async () => {
    await using server = await startTcpServer((socket) => {
      socket.on('end', () => socket.end());
      socket.once('data', (chunk: Buffer) => {
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nEARLY `,
        );
        const [, early = ''] = chunk.toString().split('\r\n\r\n');
        socket.write(early.toUpperCase());
        socket.on('data', (more: Buffer) => socket.write(more.toString().toUpperCase()));
      });
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(`${UPGRADE}hello `);
    await client.readText('EARLY HELLO ');
    await client.send('GET is no request here');
    const text = await client.readText('GET IS NO REQUEST HERE');
    expect(text).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\n/);
    client.end();
    await rig.host.allUsesEnded();
  });

  it('a declined upgrade is answered, and the connection goes on', async () => {
    await using server = await startHttpServer((request, response) => {
      if (request.url === '/up')
        response.writeHead(426, { Upgrade: 'other', Connection: 'Upgrade' });
      response.end('no');
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(`${UPGRADE}GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n`);
    const text = await client.readText('200 OK');
    expect(text).toMatch(/^HTTP\/1\.1 426 [\s\S]*Upgrade: other[\s\S]*HTTP\/1\.1 200 OK/);
  });

  it('h2c is not offered to the service', async () => {
    await using server = await startHttpServer((request, response) => {
      response.end(JSON.stringify(request.rawHeaders));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      'GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\n' +
        'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n',
    );
    const text = await client.readText(']');
    expect(text).not.toMatch(/h2c|http2-settings/i);
    await client.send('GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await waitFor(() => client.received.toString().match(/200 OK/g)?.length === 2);
  });

  it('a service that changes the protocol unasked is a 502', async () => {
    await using server = await startTcpServer((socket) => {
      socket.on('data', () =>
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
        ),
      );
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await client.readText('502 Bad Gateway');
    await rig.host.allUsesEnded();
  });

  it('an upgraded connection goes quiet, and wakes its service with the next byte', async () => {
    await using server = await startTcpServer((socket) => {
      socket.once('data', () => {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n',
        );
        socket.on('data', (chunk: Buffer) => socket.write(chunk));
      });
    });
    await using rig = createHttpRig(createEngine, [server.port], {
      services: [{ name: 'a', routes: [{ host: 'a.example' }], target: server.port, quietMs: 200 }],
    });
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(UPGRADE);
    await client.readText('101');
    await waitFor(() => rig.host.quietUses === 1, { what: 'the connection to go quiet' });
    await client.send('awake');
    await client.readText('awake');
    expect(rig.host.resumes).toBe(1);
    rig.engine.closeInstance('a', 1);
    await client.readToEnd();
    await rig.host.allUsesEnded();
  });
}
