import { describe, expect, it } from 'vitest';
import { ChunkedScanner } from '../../src/gateway/chunked.js';
import { DEFAULT_FRAMING_LIMITS } from '../../src/gateway/request-framing.js';

const BODY = '5;a="b\\"c";d\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n';

function scan(text: string, limits = {}) {
  const scanner = new ChunkedScanner({ ...DEFAULT_FRAMING_LIMITS, ...limits });
  const position = scanner.scan(Buffer.from(text), 0, text.length);
  return { position, done: scanner.done, refusal: scanner.refusal };
}

describe('a chunked body', () => {
  it('ends where its trailers end', () => {
    expect(scan(`${BODY}GET /`)).toEqual({ position: BODY.length, done: true, refusal: null });
    expect(scan(BODY.slice(0, -1))).toMatchObject({ done: false, refusal: null });
  });

  it('of nothing but its end is read', () => {
    expect(scan('0\r\n\r\n')).toMatchObject({ position: 5, done: true });
  });

  it('is read anew after a reset, also in the middle of a chunk', () => {
    const scanner = new ChunkedScanner(DEFAULT_FRAMING_LIMITS);
    for (let end = 0; end < BODY.length; end++) {
      scanner.scan(Buffer.from(BODY), 0, end);
      scanner.reset();
    }
    expect(scanner.scan(Buffer.from(BODY), 0, BODY.length)).toBe(BODY.length);
    expect(scanner.done).toBe(true);
  });

  it('with a chunk of 2^53 - 1 bytes is waited for', () => {
    expect(scan('1fffffffffffff\r\n')).toMatchObject({ done: false, refusal: null });
  });

  it.each([
    [
      'extensions of one chunk',
      '1;abc\r\n',
      { chunkExtensionBytes: 4 },
      { chunkExtensionBytes: 3 },
    ],
    [
      'extensions of all chunks',
      '1;a\r\nx\r\n1;a\r\n',
      { extensionBytes: 4 },
      { extensionBytes: 3 },
    ],
    ['trailers', '0\r\nA:1\r\n\r\n', { trailerBytes: 7 }, { trailerBytes: 6 }],
    ['the number of trailers', '0\r\nA:1\r\nB:1\r\n\r\n', { trailers: 2 }, { trailers: 1 }],
  ])('is bound in %s', (_, text, enough, tooLittle) => {
    expect(scan(text, enough).refusal).toBeNull();
    expect(scan(text, tooLittle).refusal).not.toBeNull();
  });
});
