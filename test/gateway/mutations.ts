import fc from 'fast-check';

export interface Mutation {
  readonly at: number;
  readonly deletedBytes: number;
  readonly inserted: string;
  readonly atLineStart: boolean;
}

/** Small faults: bytes deleted, and one of `spliced` or a random byte inserted. */
export function mutationsOf(spliced: readonly string[]): fc.Arbitrary<Mutation[]> {
  const mutation = fc.record({
    at: fc.nat(),
    deletedBytes: fc.nat({ max: 3 }),
    inserted: fc.oneof(
      fc.constantFrom(...spliced),
      fc.nat({ max: 255 }).map((byte) => String.fromCharCode(byte)),
    ),
    atLineStart: fc.boolean(),
  });
  return fc.array(mutation, { minLength: 1, maxLength: 3 });
}

export function mutate(
  bytes: Buffer,
  { at, deletedBytes, inserted, atLineStart }: Mutation,
): Buffer {
  let from = at % (bytes.length + 1);
  if (atLineStart) from = bytes.lastIndexOf('\n', from) + 1;
  const insertedBytes = Buffer.from(inserted, 'latin1');
  return Buffer.concat([
    bytes.subarray(0, from),
    insertedBytes,
    bytes.subarray(from + deletedBytes),
  ]);
}

/** What makes requests ambiguous. */
export const REQUEST_SPLICES = [
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
] as const;
