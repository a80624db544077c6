import http from 'node:http';
import { expect, it } from 'vitest';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineFactory } from './engine-rig.js';
import { createHttpRig } from './http-rig.js';
import { startHttpServer } from './servers.js';

/** Clients that leave, dawdle, or send in pieces. */
export function httpClientCases(createEngine: EngineFactory): void {
  it('a client that leaves aborts its request at the service', async () => {
    let aborted = 0;
    let began = 0;
    await using server = await startHttpServer((request, response) => {
      began += 1;
      response.on('close', () => {
        if (!response.writableFinished) aborted += 1;
      });
      request.resume();
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await waitFor(() => began === 1);
    // Sooner it would be a client that shut down its sending side and waits.
    await new Promise((resolve) => setTimeout(resolve, 200));
    client.socket.destroy();
    await waitFor(() => aborted === 1, { what: 'the service to be told' });
    await rig.host.allUsesEnded();
    expect(rig.host.accesses).toMatchObject([{ status: 499 }]);
  });

  it('a client that leaves in the middle of an upload aborts it at the service', async () => {
    let aborted = 0;
    let began = 0;
    await using server = await startHttpServer((request) => {
      began += 1;
      request.on('error', () => {});
      request.on('close', () => {
        if (!request.complete) aborted += 1;
      });
      request.resume();
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nhello');
    await waitFor(() => began === 1);
    client.end();
    await waitFor(() => aborted === 1, { what: 'the service to be told' });
    await rig.host.allUsesEnded();
  });

  it('a client that leaves while its service wakes is not waited for', async () => {
    await using rig = createHttpRig(createEngine, [1]);
    rig.host.hold();
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await waitFor(() => rig.host.demands[0]);
    client.socket.resetAndDestroy();
    await waitFor(() => rig.host.abortedDemands[0], { what: 'the demand to be given up' });
    expect(rig.host.refusals).toHaveLength(0);
  });

  it('a client that shuts down its sending side with its request still gets the answer', async () => {
    await using server = await startHttpServer((_, response) => {
      setTimeout(() => response.end('late answer'), 200);
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    client.socket.end('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    expect((await client.readToEnd()).toString()).toContain('late answer');
  });

  it('an answer to half an upload arrives, and the connection ends', async () => {
    await using server = await startHttpServer((_, response) => {
      response.writeHead(413, { Connection: 'close', 'Content-Length': 9 });
      response.end('too large');
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000000\r\n\r\n');
    await client.send(Buffer.alloc(200_000));
    await client.readText('too large');
    await client.readToEnd();
    await rig.host.allUsesEnded();
  });

  it('a bad request behind an answered one is told so', async () => {
    await using server = await startHttpServer((_, response) => response.end('fine'));
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      'GET / HTTP/1.1\r\nHost: a.example\r\n\r\nGET / HTTP/1.1\r\nBad Header: 1\r\n\r\n',
    );
    expect((await client.readToEnd()).toString()).toMatch(
      /200 OK[\s\S]*fine[\s\S]*400 Bad Request/,
    );
  });

  it('a request head in many pieces is served', async () => {
    await using server = await startHttpServer((request, response) => response.end(request.url));
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    const bytes = Buffer.from(
      'POST /pieces HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a.example\r\n\r\n',
    );
    await client.sendInPieces(bytes, 1);
    await client.readText('/pieces');
    await client.readText('/next');
  });

  it('a head that does not come to its end is refused in time, an idle client is left', async () => {
    await using rig = createHttpRig(createEngine, [1], { options: { headMs: 200, idleMs: 600 } });
    await using slow = await RawClient.connect({ port: rig.port('web') });
    await using idle = await RawClient.connect({ port: rig.port('web') });
    await slow.send('GET / HTTP/1.1\r\nHost: a.exa');
    expect((await slow.readToEnd()).toString()).toMatch(/^HTTP\/1\.1 408 [\s\S]*Connection: close/);
    expect(rig.host.refusals[0]?.code).toBe('request-timeout');
    expect((await idle.readToEnd()).length).toBe(0);
  });

  it('a body that does not come on is refused in time', async () => {
    await using server = await startHttpServer((request) => void request.resume());
    await using rig = createHttpRig(createEngine, [server.port], { options: { bodyMs: 200 } });
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nhello');
    expect((await client.readToEnd()).toString()).toMatch(/^HTTP\/1\.1 408 /);
    await rig.host.allUsesEnded();
  });

  it.each([
    ['an answer', ''],
    ['its last answer', 'Connection: close\r\n'],
  ])('a client that takes nothing of %s is given up in time', async (_, header) => {
    await using server = await startHttpServer((_, response) => {
      response.end(Buffer.alloc(64 * 1024 * 1024));
    });
    const options = { sendMs: 300 };
    await using rig = createHttpRig(createEngine, [server.port], { options });
    await using client = await RawClient.connect({ port: rig.port('web') });
    client.socket.pause();
    await client.send(`GET / HTTP/1.1\r\nHost: a.example\r\n${header}\r\n`);
    await rig.host.allUsesEnded();
    client.socket.resume();
    await client.readToEnd();
    expect(client.received.length).toBeLessThan(64 * 1024 * 1024);
  });

  it('after an error of the service the connection goes on', async () => {
    await using server = await startHttpServer((_, response) => response.end('fine'));
    await using rig = createHttpRig(createEngine, [1, server.port]);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    expect((await get(rig.port('web'), '/', { host: 'a.example', agent })).status).toBe(502);
    expect((await get(rig.port('web'), '/', { host: 'b.example', agent })).body).toBe('fine');
    agent.destroy();
  });
}
