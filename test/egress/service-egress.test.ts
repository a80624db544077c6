import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { DEFAULT_EGRESS_LIMITS } from '../../src/egress/service-egress.js';
import { waitFor } from '../support/wait-for.js';
import { EgressRig, OUTSIDE, startEcho, startHttp } from './egress-rig.js';

const RULES = [`${OUTSIDE}/32:*`];
const bytesOf = (text: string) => [...Buffer.from(text)];
const NAME = (text: string) => [3, text.length, ...bytesOf(text)];

describe('an HTTP client', () => {
  test('gets a tunnel, and what it sent too early goes through it', async () => {
    await using echo = await startEcho();
    await using rig = await EgressRig.start({ rules: RULES });
    const head = `CONNECT ${OUTSIDE}:${echo.port} HTTP/1.1\r\nHost: x\r\n\r\n`;
    await using client = await rig.request(`${head}early `);
    await client.readText('early ');
    await client.send('late');
    client.end();
    const all = (await client.readToEnd()).toString();
    expect(all).toBe('HTTP/1.1 200 Connection established\r\n\r\nearly late');
    expect(rig.log).toMatchObject([
      { service: 'app', verdict: 'allowed', target: `${OUTSIDE}:${echo.port}` },
    ]);
  });

  test('that sends its request byte by byte and ends at once still gets the answer', async () => {
    await using echo = await startEcho();
    await using rig = await EgressRig.start({ rules: RULES });
    await using client = await rig.connect();
    const request = `CONNECT ${OUTSIDE}:${echo.port} HTTP/1.1\r\n\r\nping`;
    await client.sendInPieces(Buffer.from(request), 1);
    client.end();
    expect((await client.readToEnd()).toString()).toMatch(/\r\n\r\nping$/);
  });

  test.each(['ping', ''])(
    'that sends request, %j and its end in one go still gets the answer',
    async (early) => {
      await using echo = await startEcho();
      await using rig = await EgressRig.start({ rules: RULES });
      await using client = await rig.connect();
      client.socket.end(`CONNECT ${OUTSIDE}:${echo.port} HTTP/1.1\r\n\r\n${early}`);
      expect((await client.readToEnd()).toString()).toMatch(new RegExp(`\r\n\r\n${early}$`));
    },
  );

  test('has its plain requests passed on in origin form, without what was for the proxy', async () => {
    await using server = await startHttp();
    await using rig = await EgressRig.start({ rules: RULES });
    await using client = await rig.request(
      [
        `POST http://${OUTSIDE}:${server.port}?a=b HTTP/1.1`,
        ...[
          'Host: other.example',
          'Proxy-Authorization: Basic eA==',
          'Proxy-Connection: keep-alive',
        ],
        ...[
          'Connection: x-hop, content-length',
          'X-Hop: 1',
          'X-End: 2',
          'Content-Length: 4',
          '',
          'body',
        ],
      ].join('\r\n'),
    );
    const answer = (await client.readToEnd()).toString();
    const seen = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));
    expect(seen).toEqual({
      method: 'POST',
      url: '/?a=b',
      rawHeaders: [
        ...['Host', `${OUTSIDE}:${server.port}`, 'X-End', '2', 'Content-Length', '4'],
        ...['Via', '1.1 rouse', 'Connection', 'close'],
      ],
      body: 'body',
    });
  });

  test.each([
    ['CONNECT example.com HTTP/1.1\r\n\r\n', 400],
    ['CONNECT http://example.com:80/ HTTP/1.1\r\n\r\n', 400],
    ['CONNECT 2130706433:80 HTTP/1.1\r\n\r\n', 400],
    ['CONNECT 0x7f.1:80 HTTP/1.1\r\n\r\n', 400],
    ['CONNECT [::1%lo]:80 HTTP/1.1\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: example.com\r\n\r\n', 400],
    ['GET https://example.com/ HTTP/1.1\r\n\r\n', 400],
    ['GET http://user@example.com/ HTTP/1.1\r\n\r\n', 400],
    ['GET http://example.com/ HTTP/2.0\r\n\r\n', 400],
    ['GET http://example.com/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n', 400],
    ['GET http://example.com/ HTTP/1.1\r\nA: b\nEvil: c\r\n\r\n', 400],
    ['GET http://example.com/ HTTP/1.1\r\nA : b\r\n\r\n', 400],
    ['CONNECT example.com:80 HTTP/1.1\r\n\r\n', 403],
    [`CONNECT ${'a'.repeat(17_000)}`, 431],
  ])('that sends %j gets %i', async (request, status) => {
    await using rig = await EgressRig.start({ rules: RULES });
    await using client = await rig.request(request);
    const answer = (await client.readToEnd()).toString();
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*\r\n\r\nrouse: `));
    expect(rig.log).toMatchObject([{ verdict: 'denied' }]);
  });
});

describe('a SOCKS client', () => {
  test('reaches what is allowed, by address and by a name that is one', async () => {
    await using echo = await startEcho();
    await using rig = await EgressRig.start({ rules: RULES });
    expect(await rig.socksReply([1, 127, 0, 0, 5], echo.port)).toBe(0);
    expect(await rig.socksReply(NAME(OUTSIDE), echo.port)).toBe(0);
    const mapped = [4, ...Array(10).fill(0), 255, 255, 127, 0, 0, 5];
    expect(await rig.socksReply(mapped, echo.port)).toBe(0);
  });

  test('reaches IPv6 addresses', async () => {
    await using echo = await startEcho('::1');
    await using rig = await EgressRig.start({ rules: ['[::1]:*'] });
    expect(await rig.socksReply([4, ...Array(15).fill(0), 1], echo.port)).toBe(0);
  });

  test('gets its bytes back, also those that it sent before the reply', async () => {
    await using echo = await startEcho();
    await using rig = await EgressRig.start({ rules: RULES });
    await using client = await rig.connect();
    const request = [5, 2, 9, 0, 5, 1, 0, 1, 127, 0, 0, 5, echo.port >> 8, echo.port & 255];
    await client.sendInPieces(Buffer.from([...request, ...bytesOf('early')]), 1);
    client.end();
    const received = await client.readToEnd();
    expect([...received.subarray(0, 4)]).toEqual([5, 0, 5, 0]);
    expect(received.subarray(12).toString()).toBe('early');
  });

  test('is told why it is refused', async () => {
    await using echo = await startEcho('127.0.0.6');
    await using rig = await EgressRig.start({ rules: RULES });
    expect(await rig.socksReply([1, 127, 0, 0, 6], echo.port)).toBe(2);
    expect(await rig.socksReply(NAME('db.test'), 80)).toBe(2);
    expect(await rig.socksReply([1, 127, 0, 0, 5], 1)).toBe(5);
    expect(await rig.socksReply([9, 1], 1)).toBe(8);
    expect(await rig.socksReply(NAME('2130706437'), echo.port)).toBe(1);
    await using binder = await rig.connect();
    await binder.send(Buffer.from([5, 1, 0, 5, 2, 0, 1, 127, 0, 0, 5, 0, 80]));
    expect((await binder.readToEnd())[3]).toBe(7);
  });

  test('that insists on a password is sent away', async () => {
    await using rig = await EgressRig.start({ rules: RULES });
    await using client = await rig.request('\x05\x01\x02');
    expect([...(await client.readToEnd())]).toEqual([5, 255]);
  });
});

describe('a connection to the outside', () => {
  test('carries large data both ways to a slow reader, unchanged', async () => {
    await using echo = await startEcho();
    await using rig = await EgressRig.start({ rules: RULES });
    await using client = await rig.request(`CONNECT ${OUTSIDE}:${echo.port} HTTP/1.1\r\n\r\n`);
    await client.readText('\r\n\r\n');
    const { socket } = client;
    socket.removeAllListeners('data');
    const block = randomBytes(1024 * 1024);
    const [sent, received] = [createHash('sha256'), createHash('sha256')];
    const writing = (async () => {
      for (let count = 0; count < 32; count += 1) {
        sent.update(block);
        await client.send(block);
      }
      client.end();
    })();
    for await (const chunk of socket) {
      received.update(chunk);
      await new Promise(setImmediate);
    }
    await writing;
    expect(received.digest('hex')).toBe(sent.digest('hex'));
  });

  test('is broken off when the rules do not allow it any more, and only then', async () => {
    await using echo = await startEcho();
    await using rig = await EgressRig.start({ rules: RULES });
    const head = `CONNECT ${OUTSIDE}:${echo.port} HTTP/1.1\r\n\r\n`;
    await using client = await rig.request(head);
    await client.readText('\r\n\r\n');
    rig.setRules([...RULES, 'example.com:443']);
    await client.send('still here');
    await client.readText('still here');
    rig.setRules(['example.com:443']);
    await client.readToEnd();
    expect(await rig.connectStatus(`${OUTSIDE}:${echo.port}`)).toBe(403);
  });

  test('that breaks off outside breaks off inside', async () => {
    const server = net.createServer((socket) =>
      socket.once('data', () => socket.resetAndDestroy()),
    );
    await new Promise<void>((resolve) => server.listen(0, OUTSIDE, resolve));
    const { port } = server.address() as net.AddressInfo;
    await using rig = await EgressRig.start({ rules: RULES });
    await using client = await rig.request(`CONNECT ${OUTSIDE}:${port} HTTP/1.1\r\n\r\n`);
    await client.readText('\r\n\r\n');
    await client.send('x');
    await expect(client.readUntil(() => false)).rejects.toMatchObject({
      cause: { code: 'ECONNRESET' },
    });
    server.close();
  });

  test('beyond the limit is refused, until another one ends', async () => {
    await using echo = await startEcho();
    const limits = { ...DEFAULT_EGRESS_LIMITS, connections: 2 };
    await using rig = await EgressRig.start({ rules: RULES, limits });
    const target = `${OUTSIDE}:${echo.port}`;
    const head = `CONNECT ${target} HTTP/1.1\r\n\r\n`;
    await using first = await rig.request(head);
    await using second = await rig.request(head);
    for (const client of [first, second]) await client.readText('200');
    expect(await rig.connectStatus(target)).toBe(503);
    first.end();
    await first.readToEnd();
    await waitFor(async () => (await rig.connectStatus(target)) === 200);
  });

  test('whose client says nothing does not stay', async () => {
    const limits = { ...DEFAULT_EGRESS_LIMITS, handshakeMs: 50 };
    await using rig = await EgressRig.start({ rules: RULES, limits });
    await using client = await rig.request('CONNECT exam');
    expect((await client.readToEnd()).toString()).toBe('');
  });

  test('on which nothing moves for long does not stay', async () => {
    await using echo = await startEcho();
    const limits = { ...DEFAULT_EGRESS_LIMITS, idleMs: 50 };
    await using rig = await EgressRig.start({ rules: RULES, limits });
    await using client = await rig.request(`CONNECT ${OUTSIDE}:${echo.port} HTTP/1.1\r\n\r\n`);
    expect((await client.readToEnd()).toString()).toMatch(/^HTTP\/1.1 200/);
  });

  test('that nobody takes is 502, and refusals do not flood the log', async () => {
    await using rig = await EgressRig.start({ rules: RULES });
    for (let count = 0; count < 60; count += 1) {
      expect(await rig.connectStatus(`${OUTSIDE}:1`)).toBe(502);
    }
    expect(rig.log.length).toBeLessThan(60);
  });
});
