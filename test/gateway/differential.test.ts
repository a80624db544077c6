import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FramingEvent, RequestFraming } from '../../src/gateway/request-framing.js';
import { SMUGGLING_CASES } from '../cases/smuggling.js';
import { requestSequence } from './http-arbitraries.js';
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

const SPLICED = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '0',
  '\x0b',
  '\xa0',
  '\x85',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Connection: close\r\n',
  'Connection: upgrade\r\n',
  'Upgrade: websocket\r\n',
  'Expect: 100-continue\r\n',
  'Host: c.example\r\n',
  'GET / HTTP/1.1\r\nHost: d.example\r\n\r\n',
  '0\r\n\r\n',
  'HTTP/1.0',
];

const MUTATION = fc.record({
  at: fc.nat(),
  deletedBytes: fc.nat({ max: 3 }),
  inserted: fc.oneof(
    fc.constantFrom(...SPLICED),
    fc.nat({ max: 255 }).map((byte) => String.fromCharCode(byte)),
  ),
  atLineStart: fc.boolean(),
});

function mutate(bytes: Buffer, { at, deletedBytes, inserted, atLineStart }: MutationValue): Buffer {
  let from = at % (bytes.length + 1);
  if (atLineStart) from = bytes.lastIndexOf('\n', from) + 1;
  const insertedBytes = Buffer.from(inserted, 'latin1');
  return Buffer.concat([
    bytes.subarray(0, from),
    insertedBytes,
    bytes.subarray(from + deletedBytes),
  ]);
}

interface MutationValue {
  readonly at: number;
  readonly deletedBytes: number;
  readonly inserted: string;
  readonly atLineStart: boolean;
}

describe('what rouse lets through is read alike by another parser', () => {
  it.each(SMUGGLING_CASES)('$name', async ({ bytes }) => {
    await expectSameReading(bytes);
  });

  it('requests with random faults', async () => {
    const mutations = fc.array(MUTATION, { minLength: 1, maxLength: 3 });
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
