import { once } from 'node:events';
import net from 'node:net';
import { createRouse } from 'rouse';
import { beforeEach, expect, test } from 'vitest';
import { FIXTURES } from '../support/fixture.js';
import { needRoot, portOf, serviceOf } from './support-rouse.js';

const HERD = 2000;
const TIMEOUT_MS = 120_000;

const CONFIG = {
  listeners: {
    lines: { address: '127.0.0.1:0', protocol: 'tcp' },
    web: { address: '127.0.0.1:0', protocol: 'http' },
  },
  services: {
    echo: {
      routes: [{ listener: 'lines' }],
      run: { command: ['./echo-server.js', '3000'], directory: FIXTURES },
      upstream: 'tcp:3000',
    },
    hello: {
      routes: [{ listener: 'web' }],
      run: { command: ['./http-hello.js', '3000'], directory: FIXTURES },
      upstream: 'tcp:3000',
    },
  },
};

/** Sends the request and closes its side where `halfCloses`; resolves with all that comes back. */
async function ask(port: number, request: string, halfCloses: boolean): Promise<string> {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  if (halfCloses) socket.end(request);
  else socket.write(request);
  socket.setEncoding('utf8');
  let answer = '';
  socket.on('data', (text: string) => {
    answer += text;
  });
  await once(socket, 'end');
  socket.destroy();
  return answer;
}

beforeEach(needRoot);

test.for([
  {
    service: 'echo',
    listener: 'lines',
    halfCloses: true,
    requestOf: (visitor: number) => `visitor ${visitor}\n`,
    answerOf: (visitor: number) => new RegExp(`^visitor ${visitor}\\n$`),
  },
  {
    service: 'hello',
    listener: 'web',
    halfCloses: false,
    requestOf: (visitor: number) =>
      `GET /visitor/${visitor} HTTP/1.1\r\nHost: herd.test\r\nConnection: close\r\n\r\n`,
    answerOf: (visitor: number) =>
      new RegExp(`^HTTP/1.1 200 OK\\r\\n[^]*path /visitor/${visitor}\\n`),
  },
])('2,000 connections at once to the stopped service "$service" are answered by one start', {
  timeout: TIMEOUT_MS,
}, async ({ service, listener, halfCloses, requestOf, answerOf }) => {
  await using rouse = await createRouse(CONFIG);
  const port = await portOf(rouse, listener);
  const visitors = Array.from({ length: HERD }, (_, visitor) => visitor);
  const answers = await Promise.allSettled(
    visitors.map((visitor) => ask(port, requestOf(visitor), halfCloses)),
  );
  const wrong = answers.filter(
    (answer, visitor) =>
      answer.status === 'rejected' || !answerOf(visitor).test(answer.value),
  );
  expect(wrong).toEqual([]);
  expect(await serviceOf(rouse, service)).toMatchObject({ starts: 1, failures: 0 });
});
