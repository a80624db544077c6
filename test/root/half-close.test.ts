import { createRouse, type Rouse } from 'rouse';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { helloMessage, hostName, records, serverName } from '../gateway/client-hellos.js';
import { FIXTURES } from '../support/fixture.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import { needRoot, portOf, serviceOf } from './support-rouse.js';

const LINES = 5;
const HELLO = records(helloMessage({ extensions: [serverName(hostName('slow.test'))] }));
const AFTER_HELLO = Buffer.from('as good as encrypted\n');

let rouse: Rouse;

beforeEach(needRoot);

beforeAll(async () => {
  if (process.getuid?.() !== 0) return;
  const run = { command: ['./half-close-server.js', '3000', `${LINES}`], directory: FIXTURES };
  rouse = await createRouse({
    listeners: {
      tcp: { address: '127.0.0.1:0', protocol: 'tcp' },
      tls: { address: '127.0.0.1:0', protocol: 'tls' },
    },
    services: {
      tcp: { routes: [{ listener: 'tcp' }], run, upstream: 'tcp:3000' },
      tls: { routes: [{ sni: 'slow.test' }], run, upstream: 'tcp:3000' },
    },
  });
});

afterAll(() => rouse?.close());

/** All that the server says, after it has read end of file, of a client that sent this many bytes. */
function answerTo(bytes: number): string {
  const lines = Array.from({ length: LINES }, (_, index) => index + 1);
  return lines.map((line) => `line ${line} of ${LINES}: ${bytes} bytes read\n`).join('');
}

const REQUESTS = {
  tcp: Buffer.alloc(100_000, 'all that the client says\n'),
  tls: Buffer.concat([HELLO, AFTER_HELLO]),
};

for (const protocol of ['tcp', 'tls'] as const) {
  const request = REQUESTS[protocol];

  test(`${protocol}: a client that ends its side before the service is awake gets the whole answer`, async () => {
    await rouse.sleep(protocol);
    await using client = await RawClient.connect({ port: await portOf(rouse, protocol) });
    await client.send(request);
    client.end();
    expect((await client.readToEnd()).toString()).toBe(answerTo(request.length));
  });

  test(`${protocol}: a client that ends its side while it is relayed gets the whole answer`, async () => {
    await rouse.wake(protocol);
    await using client = await RawClient.connect({ port: await portOf(rouse, protocol) });
    await client.send(request);
    await relayed(protocol);
    client.end();
    expect((await client.readToEnd()).toString()).toBe(answerTo(request.length));
  });
}

test('tls: a client that ends its side right after the last byte of its hello gets the whole answer', async () => {
  await using client = await RawClient.connect({ port: await portOf(rouse, 'tls') });
  client.socket.end(HELLO);
  expect((await client.readToEnd()).toString()).toBe(answerTo(HELLO.length));
});

async function relayed(service: string): Promise<void> {
  await waitFor(async () => (await serviceOf(rouse, service)).connections === 1, {
    what: 'the connection to be relayed',
  });
}
