import http from 'node:http';
import { expect, it } from 'vitest';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineFactory } from './engine-rig.js';
import { createHttpRig } from './http-rig.js';
import { startHttpServer, startTcpServer } from './servers.js';

/** Bodies and heads in the pieces and framings that make them hard to relay. */
export function httpBodyCases(createEngine: EngineFactory): void {
  it('a body that has all come before the service is awake arrives whole', async () => {
    await using server = await startHttpServer((request, response) => {
      request.toArray().then((chunks) => response.end(`${Buffer.concat(chunks).length} bytes`));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    const release = rig.host.hold();
    await using client = await RawClient.connect({ port: rig.port('web') });
    const body = Buffer.alloc(300_000, 'x');
    const head = `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${body.length}\r\n\r\n`;
    void client.send(Buffer.concat([Buffer.from(head), body]));
    await waitFor(() => rig.host.demands[0]);
    release();
    await client.readText('300000 bytes');
    await rig.host.allUsesEnded();
    // And once more on the connection that is kept.
    void client.send(Buffer.concat([Buffer.from(head), body]));
    await waitFor(() => client.received.toString().match(/300000 bytes/g)?.length === 2);
    expect(rig.host.dials).toBe(1);
    // And held again, with a connection in the pool.
    const releaseAgain = rig.host.hold();
    void client.send(Buffer.concat([Buffer.from(head), body]));
    await waitFor(() => rig.host.demands.length === 3);
    releaseAgain();
    await waitFor(() => client.received.toString().match(/300000 bytes/g)?.length === 3);
  });

  it('an HTTP/1.0 client gets a long chunked body without its chunks', async () => {
    await using server = await startHttpServer((_, response) => {
      for (let count = 0; count < 200; count += 1) response.write(`${count} `.repeat(1_000));
      response.addTrailers({ 'X-Sum': '1' });
      response.end();
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.0\r\nHost: a.example\r\n\r\n');
    const text = (await client.readToEnd()).toString();
    const expected = Array.from({ length: 200 }, (_, count) => `${count} `.repeat(1_000)).join('');
    expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe(expected);
  });

  it('an answer that ends with its connection leaves the client its own', async () => {
    const page = 'x'.repeat(500_000);
    await using server = await startTcpServer((socket) => {
      socket.on('data', () => socket.end(`HTTP/1.0 200 OK\r\nX: y\r\n\r\n${page}`));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const first = await get(rig.port('web'), '/', { host: 'a.example', agent });
    expect(first.body).toBe(page);
    const second = await get(rig.port('web'), '/', { host: 'a.example', agent });
    expect(second.body).toBe(page);
    agent.destroy();
  });

  it('an answer and what belongs to it may come byte by byte', async () => {
    const bytes =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n' +
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n';
    await using server = await startTcpServer((socket) => {
      socket.setNoDelay(true);
      socket.on('data', async () => {
        for (const byte of bytes) {
          socket.write(byte);
          await new Promise(setImmediate);
        }
      });
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    const text = await client.readText('X-Sum: 1\r\n\r\n');
    expect(text).toMatch(/HTTP\/1\.1 103 [\s\S]*HTTP\/1\.1 200 /);
    await rig.host.allUsesEnded();
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await waitFor(() => client.received.toString().match(/X-Sum: 1\r\n\r\n/g)?.length === 2);
    expect(rig.host.dials).toBe(1);
  });

  it('header values keep their bytes, whether a body follows or not', async () => {
    await using server = await startHttpServer((request, response) => {
      const value = request.headers['x-name'] as string;
      response.setHeader('X-Bytes', Buffer.from(value, 'latin1').toString('hex'));
      response.setHeader('X-Name', value);
      response.writeHead(200);
      (response as unknown as { _send(text: string, encoding: string): void })._send('', 'latin1');
      request.resume().on('end', () => setTimeout(() => response.end('ok'), 20));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    for (const rest of ['\r\n', 'Content-Length: 2\r\n\r\nhi']) {
      await using client = await RawClient.connect({ port: rig.port('web') });
      const head = 'POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nX-Name: j\xf6rg\r\n';
      await client.send(Buffer.from(`${head}${rest}`, 'latin1'));
      const text = (await client.readToEnd()).toString('latin1');
      expect(text).toContain('X-Bytes: 6af67267\r\n');
      expect(text).toContain('X-Name: j\xf6rg\r\n');
    }
  });
}
