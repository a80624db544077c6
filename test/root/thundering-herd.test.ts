import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import {
  helloService,
  listenersOf,
  RunningRouse,
  serviceOf,
  titled,
  whyNoIsolation,
} from './root-support.js';

const HERD = 2000;
const TIMEOUT_MS = 120_000;

interface Herd {
  readonly protocol: string;
  readonly service: object;
  readonly requestOf: (visitor: number) => string;
  readonly answerOf: (visitor: number) => RegExp;
}

const HERDS: readonly Herd[] = [
  {
    protocol: 'tcp',
    service: serviceOf(['fast-server.pl', 3000], { routes: [{ listener: 'door' }] }),
    requestOf: (visitor) => `visitor ${visitor}\n`,
    answerOf: (visitor) => new RegExp(`^visitor ${visitor}\\n$`),
  },
  {
    protocol: 'http',
    service: helloService('door'),
    requestOf: (visitor) =>
      `GET /visitor/${visitor} HTTP/1.1\r\nHost: herd.test\r\nConnection: close\r\n\r\n`,
    answerOf: (visitor) => new RegExp(`^HTTP/1.1 200 OK\\r\\n.* path /visitor/${visitor}\\n`, 's'),
  },
];

/** Resolves with all that comes back until the other side closes. */
async function ask(port: number, request: string): Promise<string> {
  const socket = net.connect({ host: '127.0.0.1', port });
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  socket.write(request);
  await once(socket, 'close');
  return answer;
}

describe.skipIf(whyNoIsolation !== null)(titled('2,000 connections at once'), () => {
  test.each(HERDS)(
    'to a stopped service are all answered by one start: $protocol',
    {
      timeout: TIMEOUT_MS,
    },
    async ({ protocol, service, requestOf, answerOf }) => {
      const listeners = listenersOf({ door: protocol });
      await using running = await RunningRouse.start({ listeners, services: { service } });
      const port = await running.port('door');
      const visitors = Array.from({ length: HERD }, (_, visitor) => visitor);
      const answers = await Promise.allSettled(
        visitors.map((visitor) => ask(port, requestOf(visitor))),
      );
      const wrong = answers.filter(
        (answer, visitor) => answer.status === 'rejected' || !answerOf(visitor).test(answer.value),
      );
      expect(wrong).toEqual([]);
      expect(await running.service('service')).toMatchObject({ starts: 1, failures: 0 });
    },
  );
});
