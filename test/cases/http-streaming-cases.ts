import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { expect, it } from 'vitest';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineFactory } from './engine-rig.js';
import { createHttpRig } from './http-rig.js';
import { startHttpServer, startTcpServer } from './servers.js';

const BULK_BYTES = 64 * 1024 * 1024;
const BLOCK = Buffer.alloc(1024 * 1024, 'rouse ');

function bulkHash(): string {
  const hash = createHash('sha256');
  for (let bytes = 0; bytes < BULK_BYTES; bytes += BLOCK.length) hash.update(BLOCK);
  return hash.digest('hex');
}

/** Bodies, trailers, expectations and clients that leave. */
export function httpStreamingCases(createEngine: EngineFactory): void {
  it('an answer comes as the service writes it, piece by piece', async () => {
    let write = (_: string): void => {};
    await using server = await startHttpServer((_, response) => {
      response.flushHeaders();
      write = (text) => response.write(text);
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await client.readText('200 OK');
    write('first event');
    await client.readText('first event');
    write('second event');
    await client.readText('second event');
  });

  it('a request body reaches the service as the client sends it', async () => {
    const heard: string[] = [];
    await using server = await startHttpServer((request, response) => {
      request.on('data', (chunk: Buffer) => heard.push(chunk.toString()));
      request.on('end', () => response.end('thanks'));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n');
    await client.send('5\r\nfirst\r\n');
    await waitFor(() => heard.join() === 'first');
    await client.send('6\r\nsecond\r\n0\r\n\r\n');
    await client.readText('thanks');
    expect(heard.join()).toBe('first,second');
  });

  it('64 MiB to a slow reader arrive whole, and are not buffered on the way', async () => {
    let sentBytes = 0;
    await using server = await startHttpServer((_, response) => {
      const push = (): void => {
        while (sentBytes < BULK_BYTES) {
          sentBytes += BLOCK.length;
          if (!response.write(BLOCK)) return void response.once('drain', push);
        }
        response.end();
      };
      push();
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    const request = http.get({
      port: rig.port('web'),
      headers: { host: 'a.example' },
      agent: false,
    });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    let stuckAt = -1;
    await waitFor(
      () => {
        const isStuck = sentBytes === stuckAt;
        stuckAt = sentBytes;
        return isStuck;
      },
      { everyMs: 200 },
    );
    expect(stuckAt).toBeLessThan(BULK_BYTES / 2);
    const hash = createHash('sha256');
    for await (const chunk of response) hash.update(chunk);
    expect(hash.digest('hex')).toBe(bulkHash());
  });

  it('a client that reads slowly, but reads, gets all of its answer', async () => {
    await using server = await startHttpServer((_, response) => {
      for (let bytes = 0; bytes < BULK_BYTES; bytes += BLOCK.length) response.write(BLOCK);
      response.end();
    });
    const options = { sendMs: 800 };
    await using rig = createHttpRig(createEngine, [server.port], { options });
    const request = http.get({
      port: rig.port('web'),
      headers: { host: 'a.example', connection: 'close' },
      agent: false,
    });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    const hash = createHash('sha256');
    let readBytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const isPause = readBytes % BLOCK.length > (readBytes + chunk.length) % BLOCK.length;
      if (isPause) await new Promise((resolve) => setTimeout(resolve, 30));
      hash.update(chunk);
      readBytes += chunk.length;
    }
    expect(hash.digest('hex')).toBe(bulkHash());
  });

  it.each(['Content-Length', 'Transfer-Encoding'])(
    '64 MiB to a slow service arrive whole, and are not buffered on the way (%s)',
    async (framing) => {
      let isReading = false;
      let startReading = (): void => {};
      await using server = await startHttpServer((request, response) => {
        const hash = createHash('sha256');
        startReading = () => {
          isReading = true;
          request.on('data', (chunk: Buffer) => hash.update(chunk));
          request.on('end', () => response.end(hash.digest('hex')));
        };
      });
      await using rig = createHttpRig(createEngine, [server.port]);
      const request = http.request({
        port: rig.port('web'),
        method: 'POST',
        agent: false,
        headers: {
          host: 'a.example',
          ...(framing === 'Content-Length' ? { 'Content-Length': BULK_BYTES } : {}),
        },
      });
      let sentBytes = 0;
      const push = (): void => {
        while (sentBytes < BULK_BYTES) {
          sentBytes += BLOCK.length;
          if (!request.write(BLOCK)) return void request.once('drain', push);
        }
        request.end();
      };
      push();
      let stuckAt = -1;
      await waitFor(
        () => {
          const isStuck = sentBytes === stuckAt;
          stuckAt = sentBytes;
          return isStuck;
        },
        { everyMs: 200 },
      );
      expect(isReading).toBe(false);
      expect(stuckAt).toBeLessThan(BULK_BYTES / 2);
      startReading();
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      expect(Buffer.concat(await response.toArray()).toString()).toBe(bulkHash());
    },
  );

  it('trailers pass both ways', async () => {
    await using server = await startHttpServer((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(200, { Trailer: 'X-Sum' });
        response.write('body');
        response.addTrailers({ 'X-Sum': String(request.trailers['x-check']) });
        response.end();
      });
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      'POST / HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\nTrailer: X-Check\r\n' +
        'Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Check: 42\r\n\r\n',
    );
    const text = await client.readText('X-Sum: 42\r\n\r\n');
    expect(text).toMatch(/Trailer: X-Sum\r\n[\s\S]*4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n$/);
  });

  it('a client that waits for 100 Continue gets the one of the service', async () => {
    let letContinue: (() => void) | null = null;
    await using server = await startHttpServer(() => {});
    server.server.on(
      'checkContinue',
      (request: http.IncomingMessage, response: http.ServerResponse) => {
        letContinue = () => {
          response.writeContinue();
          request.resume().on('end', () => response.end('uploaded'));
        };
      },
    );
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      'PUT / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
    );
    const write = await waitFor(() => letContinue);
    expect(client.received.length).toBe(0);
    write();
    await client.readText('\r\n\r\n');
    expect(client.received.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    await client.send('hello');
    await client.readText('uploaded');
  });

  it('a client that waits for 100 Continue is told when the service refuses', async () => {
    await using server = await startHttpServer(() => {});
    server.server.on('checkContinue', (_: http.IncomingMessage, response: http.ServerResponse) => {
      response.writeHead(413, { Connection: 'close' });
      response.end('too large');
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(
      'PUT / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
    );
    const text = (await client.readToEnd()).toString();
    expect(text).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close/);
    expect(text).toContain('too large');
    await rig.host.allUsesEnded();
  });

  it('early hints and other informational answers pass', async () => {
    await using server = await startHttpServer((_, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' }, () => response.end('page'));
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    expect(await client.readText('page')).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/style.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK/i,
    );
  });

  it('a chunked DELETE is one request to the service, with its body', async () => {
    const received: Buffer[] = [];
    await using server = await startTcpServer((socket) => {
      socket.on('data', (chunk: Buffer) => {
        received.push(chunk);
        if (Buffer.concat(received).includes('0\r\n\r\n')) {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        }
      });
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    const smuggled = 'GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n';
    await client.send(
      'DELETE / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n' +
        `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    );
    await client.readText('ok');
    const text = Buffer.concat(received).toString();
    const [head = '', ...rest] = text.split('\r\n\r\n');
    expect(head).toMatch(/^DELETE \/ HTTP\/1\.1\r\n/);
    expect(head).toMatch(/\r\nTransfer-Encoding: chunked/);
    expect(head).not.toMatch(/content-length/i);
    expect(rest.join('\r\n\r\n')).toBe(
      `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    );
    expect(server.connections).toBe(1);
  });

  it('a body that needs no length gets none: POST without one, GET with one', async () => {
    await using server = await startHttpServer((request, response) => {
      const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
      request.toArray().then((chunks) => {
        response.end(`${length} ${coding} ${Buffer.concat(chunks)}`);
      });
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send('POST / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await client.readText('undefined undefined ');
    await client.send('GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi');
    await client.readText('2 undefined hi');
    await client.send('OPTIONS * HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n');
    await client.readText('0 undefined ');
  });
}
