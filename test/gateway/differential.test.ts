import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FramingEvent, RequestFraming } from '../../src/gateway/request-framing.js';
import { SMUGGLING_CASES } from '../cases/smuggling.js';
import { requestSequence } from './http-arbitraries.js';
import { mutate, mutationsOf, REQUEST_SPLICES } from './mutations.js';
import { type ReadRequest, readWithNode } from './node-parser.js';

/** What rouse lets through: whole requests, up to the first refusal, with decoded bodies. */
function readWithRouse(bytes: Buffer) {
  const requests: ReadRequest[] = [];
  const passed: Buffer[] = [];
  let current: FramingEvent[] = [];
  for (const event of new RequestFraming().push(bytes)) {
    current.push(event);
    if (event.kind !== 'end') continue;
    const head = current.flatMap((found) => (found.kind === 'head' ? [found.head] : []))[0];
    if (head === undefined) throw new Error('an end without a head');
    const rawBody = Buffer.concat(
      current.flatMap((found) => (found.kind === 'body' ? [found.bytes] : [])),
    );
    passed.push(head.rawBytes, rawBody);
    const isDecoded = head.framing.kind === 'chunked' && head.upgrade === null;
    requests.push({
      method: head.method,
      target: head.target,
      version: `1.${head.minorVersion}`,
      headers: head.headers.flatMap(({ name, value }) => [name, value]),
      body: isDecoded ? decode(rawBody) : rawBody.toString('latin1'),
      isUpgrade: head.upgrade !== null,
      isComplete: true,
    });
    current = [];
    if (head.upgrade !== null) break;
  }
  return { requests, passed: Buffer.concat(passed) };
}

function decode(chunked: Buffer): string {
  let rest = chunked.toString('latin1');
  let body = '';
  for (;;) {
    const line = rest.slice(0, rest.indexOf('\r\n'));
    const size = Number.parseInt(line, 16);
    if (size === 0) return body;
    const start = line.length + 2;
    body += rest.slice(start, start + size);
    rest = rest.slice(start + size + 2);
  }
}

async function expectSameReading(bytes: Buffer): Promise<void> {
  const { requests, passed } = readWithRouse(bytes);
  const node = await readWithNode(passed);
  expect(node).toEqual({ error: null, requests });
}

describe('what rouse lets through is read alike by another parser', () => {
  it.each(SMUGGLING_CASES)('$name', async ({ bytes }) => {
    await expectSameReading(bytes);
  });

  it('requests with random faults', async () => {
    const mutations = mutationsOf(REQUEST_SPLICES);
    await fc.assert(
      fc.asyncProperty(requestSequence(), mutations, async (requests, faults) => {
        const bytes = Buffer.concat(requests.map(({ bytes }) => bytes));
        await expectSameReading(faults.reduce(mutate, bytes));
      }),
      {
        seed: Number(process.env.ROUSE_FUZZ_SEED ?? 3),
        numRuns: Number(process.env.ROUSE_FUZZ_RUNS ?? 2500),
      },
    );
  });

  it.each(['Upgrade: websocket\r\n', 'upgrade: h2c\r\nUPGRADE:x\r\n'])(
    'an upgrade that is taken out of the head is none: %j',
    async (upgrade) => {
      const before = 'POST / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n';
      for (const order of [`${upgrade}Content-Length: 2\r\n`, `Content-Length: 2\r\n${upgrade}`]) {
        const [event] = new RequestFraming().push(Buffer.from(`${before}${order}\r\n`));
        if (event?.kind !== 'head') throw new Error('not accepted');
        const head = event.head.rawBytesWithoutUpgrade();
        const node = await readWithNode(Buffer.concat([head, Buffer.from('ab')]));
        expect(node.requests).toMatchObject([{ method: 'POST', isUpgrade: false, body: 'ab' }]);
      }
    },
  );
});
