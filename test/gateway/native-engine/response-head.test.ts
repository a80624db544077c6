import { describe, expect, it } from 'vitest';
import {
  INPUT_AT,
  bytes as memory,
  OUTPUT_AT,
} from '../../../src/gateway/native-engine/http/memory.js';
import {
  interpretResponse,
  type ResponseFacts,
} from '../../../src/gateway/native-engine/http/response-head.js';
import { writeResponseHead } from '../../../src/gateway/native-engine/http/response-head-writer.js';
import { ResponseScanner } from '../../../src/gateway/native-engine/http/response-scanner.js';

/** Scans a response that comes in two pieces; a text: its fault. */
function scanIn(bytes: Buffer, cut: number): { end: number; scanner: ResponseScanner } | string {
  const scanner = new ResponseScanner();
  let at = scanner.scan(bytes, 0, cut, 0);
  if (scanner.fault === null && !scanner.done) at = scanner.scan(bytes, at, bytes.length, 0);
  if (scanner.fault !== null) return scanner.fault;
  return scanner.done ? { end: at, scanner } : 'unfinished';
}

function read(text: string, { isForHead = false, cut = 0 } = {}): ResponseFacts | string {
  const bytes = Buffer.from(text, 'latin1');
  const scanned = scanIn(bytes, cut);
  if (typeof scanned === 'string') return scanned;
  return interpretResponse(bytes, 0, scanned.scanner, isForHead);
}

function rewrite(text: string, isChunked = false, connection: 'close' | null = null): string {
  const bytes = Buffer.from(text, 'latin1');
  const scanned = scanIn(bytes, 0);
  if (typeof scanned === 'string') return scanned;
  const facts = interpretResponse(bytes, 0, scanned.scanner, false);
  if (typeof facts === 'string') return facts;
  bytes.copy(memory, INPUT_AT);
  const end = INPUT_AT + scanned.end;
  const to = writeResponseHead(INPUT_AT, end, scanned.scanner, isChunked, connection);
  return memory.toString('latin1', OUTPUT_AT, to);
}

const OK = 'HTTP/1.1 200 OK\r\n';

describe('where a response ends', () => {
  it.each([
    [`${OK}Content-Length: 12\r\n\r\n`, { body: 'length', bytes: 12, keepAlive: true }],
    [`${OK}content-length:0\r\n\r\n`, { body: 'none', keepAlive: true }],
    [`${OK}Transfer-Encoding: Chunked\r\n\r\n`, { body: 'chunked', keepAlive: true }],
    [`${OK}\r\n`, { body: 'close', keepAlive: false }],
    ['HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n', { status: 200, body: 'length' }],
    ['HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', { body: 'none', keepAlive: true }],
    ['HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', { body: 'none' }],
    ['HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n', { status: 103, body: 'none' }],
    ['HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n', { body: 'length', keepAlive: false }],
    ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\n', { keepAlive: true }],
    [`${OK}Connection: foo, close\r\nContent-Length: 1\r\n\r\n`, { keepAlive: false }],
    [`${OK}Keep-Alive: timeout=7, max=3\r\nContent-Length: 1\r\n\r\n`, { timeoutMs: 7000 }],
  ])('%j', (text, expected) => {
    expect(read(text)).toMatchObject(expected);
  });

  it('an answer to HEAD has no body, whatever it says', () => {
    expect(read(`${OK}Content-Length: 12\r\n\r\n`, { isForHead: true })).toMatchObject({
      body: 'none',
      keepAlive: true,
    });
    expect(read(`${OK}\r\n`, { isForHead: true })).toMatchObject({ body: 'none', keepAlive: true });
  });
});

const FAULTS: ReadonlyArray<readonly [string, string]> = [
  ['both lengths', `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ['two lengths', `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\n`],
  ['a list as length', `${OK}Content-Length: 2, 2\r\n\r\n`],
  ['a negative length', `${OK}Content-Length: -2\r\n\r\n`],
  ['a length with a sign', `${OK}Content-Length: +2\r\n\r\n`],
  ['a length in hex', `${OK}Content-Length: 0x2\r\n\r\n`],
  ['an empty length', `${OK}Content-Length:\r\n\r\n`],
  ['a length of 2^64', `${OK}Content-Length: 18446744073709551616\r\n\r\n`],
  ['two codings', `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ['gzip, chunked', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`],
  ['identity', `${OK}Transfer-Encoding: identity\r\n\r\n`],
  ['a coding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['bare LF after the status line', 'HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n'],
  ['bare LF after a header', `${OK}Content-Length: 2\n\r\n`],
  ['bare CR in a value', `${OK}X-A: 1\rX-B: 2\r\n\r\n`],
  ['a folded header', `${OK}X-A: 1\r\n 2\r\n\r\n`],
  ['space before a colon', `${OK}X-A : 1\r\n\r\n`],
  ['a header without a colon', `${OK}X-A\r\n\r\n`],
  ['NUL in a value', `${OK}X-A: \0\r\n\r\n`],
  ['NUL in the reason', 'HTTP/1.1 200 O\0K\r\n\r\n'],
  ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['space before the status line', ' HTTP/1.1 200 OK\r\n\r\n'],
  ['an empty line first', `\r\n${OK}\r\n`],
  ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
  ['300 headers', `${OK}${'X-A: 1\r\n'.repeat(300)}\r\n`],
  ['a head of 70,000 bytes', `${OK}${`X-A: ${'x'.repeat(1000)}\r\n`.repeat(70)}\r\n`],
];

describe('responses that cannot be read in one way only', () => {
  it.each(FAULTS)('%s', (_, text) => {
    expect(read(text)).toEqual(expect.any(String));
    expect(read(text)).not.toBe('unfinished');
  });
});

describe('a response head that comes in pieces', () => {
  const texts = [
    `${OK}sErVer: me\r\nContent-Length: 12\r\nConnection: X-Hop\r\nX-Hop:\t1 \r\nX-Empty:\r\n\r\n`,
    ...FAULTS.map(([, text]) => text).filter((text) => text.length < 200),
  ];

  it.each(texts)('is read alike wherever it was cut: %j', (text) => {
    const whole = read(text, { cut: text.length });
    for (let cut = 0; cut < text.length; cut += 1) expect(read(text, { cut })).toEqual(whole);
  });
});

describe('the head for the client', () => {
  it('keeps case and order, in one form, without what is for the connection', () => {
    const text =
      'HTTP/1.0 299 Fine by me\r\nsErVer:  me \r\nX-Hop: 1\r\nConnection: x-hop\r\nX-Empty:\r\n' +
      'Keep-Alive: timeout=3\r\nProxy-Connection: x\r\nTrailer: X-T\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n';
    expect(rewrite(text, false, 'close')).toBe(
      'HTTP/1.1 299 Fine by me\r\nsErVer: me\r\nX-Empty: \r\nContent-Length: 2\r\nConnection: close\r\n\r\n',
    );
  });

  it('says what it would be upgraded to, and how its body comes', () => {
    expect(rewrite('HTTP/1.1 426\r\nUpgrade: x\r\nTrailer: X-T\r\n\r\n', true)).toBe(
      'HTTP/1.1 426 \r\nUpgrade: x\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\nConnection: Upgrade\r\n\r\n',
    );
  });

  it('a length that a connection option names stays: it frames the body', () => {
    expect(rewrite(`${OK}Connection: content-length\r\nContent-Length: 2\r\n\r\n`)).toBe(
      `${OK}Content-Length: 2\r\n\r\n`,
    );
  });
});
