import http from 'node:http';
import type net from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createNodeEngine } from '../../../src/gateway/node-engine/node-engine.js';
import { type EngineFactory, Rig } from '../../cases/engine-rig.js';
import { startHttpServer, startTcpServer } from '../../cases/servers.js';
import { RawClient } from '../../support/raw-client.js';
import { requestSequence } from '../http-arbitraries.js';
import { mutate, mutationsOf, REQUEST_SPLICES } from '../mutations.js';
import { nativeEngineHere } from './native-engine-here.js';

const SEED = Number(process.env.ROUSE_FUZZ_SEED ?? 5);
const RUNS = Number(process.env.ROUSE_FUZZ_RUNS ?? 240);
const AT_ONCE = 80;
/** Whatever is left unfinished ends soon. */
const SHORT = { headMs: 700, bodyMs: 700, idleMs: 700 };

interface Outcome {
  /** As the service read them. */
  readonly requests: string[];
  readonly statuses: string[];
}

/** Streams that are sent by as many clients, each with an address of its own by which the service knows it. */
async function outcomesOf(createEngine: EngineFactory, streams: Buffer[]): Promise<Outcome[]> {
  const requests = new Map<string, string[]>();
  await using server = await startHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const client = String(request.headers['x-forwarded-for']);
      const known = requests.get(client) ?? [];
      requests.set(client, [...known, textOf(request, Buffer.concat(chunks))]);
      response.end('served');
    });
  });
  await using rig = new Rig(createEngine, {
    listeners: [{ name: 'web', protocol: 'http' }],
    services: [{ name: 'a', routes: [{ listener: 'web' }], target: server.port }],
    options: SHORT,
  });
  const port = rig.port('web');
  const outcomes: Outcome[] = [];
  for (let from = 0; from < streams.length; from += AT_ONCE) {
    const some = streams.slice(from, from + AT_ONCE).map(async (bytes, index) => {
      const localAddress = `127.1.${Math.floor((from + index) / 250)}.${1 + ((from + index) % 250)}`;
      await using client = await RawClient.connect({ port, localAddress });
      await client.send(bytes);
      const received = (await client.readToEnd()).toString('latin1');
      const statuses = received.match(/HTTP\/1\.1 (?!1)\d\d\d/g) ?? [];
      return { requests: requests.get(localAddress) ?? [], statuses };
    });
    outcomes.push(...(await Promise.all(some)));
  }
  return outcomes;
}

/** Lines of one name stand together, and cookies in one line, as the node engine sends them; ports differ. */
function textOf(request: http.IncomingMessage, body: Buffer): string {
  const { method, url, rawHeaders, rawTrailers, headers } = request;
  const lines = [`cookie: ${headers.cookie?.split(/; */).join('; ').trim()}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (/^(connection|keep-alive)$/i.test(rawHeaders[at] as string)) continue;
    if (/^cookie$/i.test(rawHeaders[at] as string)) continue;
    lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`.replace(/127\.0\.0\.1:\d+/g, 'HERE'));
  }
  const key = (line: string) => line.slice(0, line.indexOf(':')).toLowerCase();
  const named = lines.map((line) => [key(line), line.slice(line.indexOf(':'))]);
  const sorted = named.toSorted(([a = ''], [b = '']) => (a < b ? -1 : a > b ? 1 : 0));
  return JSON.stringify([method, url, sorted, rawTrailers, body.toString('latin1')]);
}

it('both engines make the same of random and hostile requests', { timeout: 120_000 }, async () => {
  const faults = fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 4, arbitrary: mutationsOf(REQUEST_SPLICES) },
  );
  const stream = fc
    .tuple(requestSequence(), faults)
    .map(([requests, mutations]) =>
      mutations.reduce(mutate, Buffer.concat(requests.map(({ bytes }) => bytes))),
    );
  const streams = fc.sample(stream, { seed: SEED, numRuns: RUNS });
  const byNode = await outcomesOf(createNodeEngine, streams);
  const byNative = await outcomesOf(nativeEngineHere(), streams);
  const differing = streams
    .map((bytes, index) => ({
      bytes: bytes.toString('latin1'),
      node: byNode[index],
      native: byNative[index],
    }))
    .filter(({ node, native }) => JSON.stringify(node) !== JSON.stringify(native));
  expect(differing).toEqual([]);
});

const RESPONSE_SPLICES = [
  ...['\r\n', '\n', '\r', '\0', ' ', '\t', ':', ',', ';', '0', '\x0b', '\xa0'],
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Connection: close\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.0',
  '0\r\n\r\n',
];

const RESPONSE = fc
  .tuple(
    fc.constantFrom('200 OK', '204 No Content', '304 Not Modified', '404 ', '299 Fine by me'),
    fc.constantFrom('', 'X-A: 1\r\nx-a:\t2 \r\n', 'Set-Cookie: a\r\nSet-Cookie: b\r\n', 'X-E:\r\n'),
    fc.constantFrom(
      'Content-Length: 5\r\n\r\nhello',
      'Content-Length: 0\r\n\r\n',
      'Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n',
      'Connection: close\r\n\r\nhello',
    ),
  )
  .map(([status, headers, rest]) => Buffer.from(`HTTP/1.1 ${status}\r\n${headers}${rest}`));

type Reading = 'broken' | { readonly status: number; readonly text: string };

/** What Node's client makes of a response. */
function ask(port: number, path: string): Promise<Reading> {
  return new Promise((resolve) => {
    const request = http.get({ port, path, agent: false, headers: { host: 'a.example' } });
    // Behind a whole response an error is another matter: of bytes that nobody asked for.
    let hasResponse = false;
    request.on('error', () => hasResponse || resolve('broken'));
    request.on('response', (response) => {
      hasResponse = true;
      const { statusCode = 0, rawHeaders } = response;
      const fields: string[] = [];
      for (let at = 0; at < rawHeaders.length; at += 2) {
        const name = (rawHeaders[at] as string).toLowerCase();
        const isFraming = /^(connection|transfer-encoding|keep-alive|content-length)$/.test(name);
        if (!isFraming) fields.push(`${name}: ${rawHeaders[at + 1]}`);
      }
      response.toArray().then(
        (chunks) => {
          const text = JSON.stringify([fields, Buffer.concat(chunks).toString('latin1')]);
          resolve({ status: statusCode, text });
        },
        () => resolve('broken'),
      );
    });
  });
}

it('what a service answers is passed on as Node reads it, or not at all', {
  timeout: 120_000,
}, async () => {
  const response = fc
    .tuple(RESPONSE, fc.oneof(fc.constant([]), mutationsOf(RESPONSE_SPLICES)))
    .map(([bytes, mutations]) => mutations.reduce(mutate, bytes));
  const responses = fc.sample(response, { seed: SEED, numRuns: RUNS });
  await using server = await startTcpServer((socket: net.Socket) => {
    socket.once('data', (chunk: Buffer) => {
      const index = Number(/^GET \/(\d+) /.exec(chunk.toString('latin1'))?.[1]);
      socket.end(responses[index] ?? '');
    });
  });
  await using rig = new Rig(nativeEngineHere(), {
    listeners: [{ name: 'web', protocol: 'http' }],
    services: [{ name: 'a', routes: [{ listener: 'web' }], target: server.port }],
  });
  const differing: unknown[] = [];
  let passed = 0;
  for (const [index, bytes] of responses.entries()) {
    const direct = await ask(server.port, `/${index}`);
    const relayed = await ask(rig.port('web'), `/${index}`);
    if (relayed === 'broken' || relayed.status === 502) continue;
    passed += 1;
    if (JSON.stringify(direct) !== JSON.stringify(relayed)) {
      differing.push({ bytes: bytes.toString('latin1'), direct, relayed });
    }
  }
  expect(differing).toEqual([]);
  expect(passed).toBeGreaterThan(RUNS / 4);
});
