import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { helloMessage, hostName, records, serverName } from '../gateway/client-hellos.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import { listenersOf, RunningRouse, serviceOf, titled, whyNoIsolation } from './root-support.js';

const LINES = 5;
const SERVER = ['half-close-server.js', 3000, LINES];
const HELLO = records(helloMessage({ extensions: [serverName(hostName('slow.test'))] }));
const REQUESTS = {
  tcp: Buffer.alloc(100_000, 'all that the client says\n'),
  tls: Buffer.concat([HELLO, Buffer.from('as good as encrypted')]),
};

/** All that the server says, after it has read end of file, to a client that sent this many bytes. */
function answerTo(bytes: number): string {
  const lines = Array.from({ length: LINES }, (_, index) => index + 1);
  return lines.map((line) => `line ${line} of ${LINES}: ${bytes} bytes read\n`).join('');
}

describe.skipIf(whyNoIsolation !== null)(titled('a client that shuts down its side'), () => {
  let running: RunningRouse;

  beforeAll(async () => {
    running = await RunningRouse.start({
      listeners: listenersOf({ tcp: 'tcp', tls: 'tls' }),
      services: {
        tcp: serviceOf(SERVER, { routes: [{ listener: 'tcp' }] }),
        tls: serviceOf(SERVER, { routes: [{ sni: 'slow.test' }] }),
      },
    });
  });

  afterAll(() => running?.[Symbol.asyncDispose]());

  describe.each(['tcp', 'tls'] as const)('on a %s listener', (protocol) => {
    const request = REQUESTS[protocol];

    test('before the service is awake gets the whole answer', async () => {
      await running.rouse.sleep(protocol);
      await using client = await RawClient.connect({ port: await running.port(protocol) });
      await client.send(request);
      client.end();
      expect((await client.readToEnd()).toString()).toBe(answerTo(request.length));
      expect((await running.service(protocol)).starts).toBe(1);
    });

    test('while it is relayed gets the whole answer', async () => {
      await running.rouse.wake(protocol);
      await using client = await RawClient.connect({ port: await running.port(protocol) });
      await client.send(request);
      await waitFor(async () => (await running.service(protocol)).connections === 1, {
        what: 'the connection to be relayed',
      });
      client.end();
      expect((await client.readToEnd()).toString()).toBe(answerTo(request.length));
    });
  });

  test('right behind its hello gets the whole answer', async () => {
    await using client = await RawClient.connect({ port: await running.port('tls') });
    client.socket.end(HELLO);
    expect((await client.readToEnd()).toString()).toBe(answerTo(HELLO.length));
  });
});
