import { describe, expect, it } from 'vitest';
import { RequestFraming } from '../../src/gateway/request-framing.js';
import type { RequestHead } from '../../src/gateway/request-head.js';

function readHead(...lines: string[]): RequestHead {
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const [event] = new RequestFraming().push(bytes);
  return event?.kind === 'head' ? event.head : expect.fail(JSON.stringify(event));
}

describe('whom a request is for', () => {
  it('says Host, without case, port and final dot', () => {
    const head = readHead('GET /a?b HTTP/1.1', 'hOsT: Blog.Example.com.:8080');
    expect(head).toMatchObject({ host: 'blog.example.com', port: 8080, path: '/a?b' });
    expect(head.authority).toBe('Blog.Example.com.:8080');
  });

  it('says an IPv6 Host in canonical form', () => {
    expect(readHead('GET / HTTP/1.1', 'Host: [2001:DB8::0:1]:80').host).toBe('2001:db8::1');
  });

  it('says the target rather than Host', () => {
    const head = readHead('GET HTTP://a.example:81/x?y HTTP/1.1', 'Host: b.example');
    expect(head).toMatchObject({ host: 'a.example', port: 81, path: '/x?y' });
    expect(head.authority).toBe('a.example:81');
    expect(head.target).toBe('HTTP://a.example:81/x?y');
  });

  it.each([
    ['GET', 'http://a.example', '/'],
    ['GET', 'http://a.example?x', '/?x'],
    ['OPTIONS', 'http://a.example', '*'],
    ['OPTIONS', '*', '*'],
    ['GET', '//a/b', '//a/b'],
  ])('%s %s is for the path %s', (method, target, path) => {
    expect(readHead(`${method} ${target} HTTP/1.1`, 'Host: a.example').path).toBe(path);
  });

  it('says nobody in HTTP/1.0 without Host', () => {
    const head = readHead('GET / HTTP/1.0');
    expect(head).toMatchObject({ host: null, port: null, authority: null, minorVersion: 0 });
  });
});

describe('what comes after a request', () => {
  it.each([
    ['HTTP/1.1', 'X: 1', true],
    ['HTTP/1.1', 'Connection: foo, Close', false],
    ['HTTP/1.1', 'Connection: keep-alive\r\nConnection: close', false],
    ['HTTP/1.0', 'X: 1', false],
    ['HTTP/1.0', 'Connection: Keep-Alive', true],
    ['HTTP/1.0', 'Connection: keep-alive, close', false],
  ])('%s with %j: another one %s', (version, header, keepAlive) => {
    expect(readHead(`GET / ${version}`, 'Host: a', header).keepAlive).toBe(keepAlive);
  });

  it.each([
    ['X: 1', { kind: 'none' }],
    ['Content-Length: 0', { kind: 'none' }],
    ['Content-Length:  12  ', { kind: 'length', bytes: 12 }],
    ['Content-Length: 9007199254740991', { kind: 'length', bytes: Number.MAX_SAFE_INTEGER }],
    ['TRANSFER-ENCODING: Chunked', { kind: 'chunked' }],
  ])('with %j the body is %j', (header, framing) => {
    expect(readHead('POST / HTTP/1.1', 'Host: a', header).framing).toEqual(framing);
  });

  it.each([
    ['Connection: Upgrade\r\nUpgrade: websocket', ['websocket']],
    ['Connection: keep-alive, upgrade\r\nUpgrade: h2c, WebSocket/13', ['h2c', 'websocket/13']],
    ['Upgrade: websocket', null],
    ['Connection: upgrade', null],
  ])('with %j the upgrade is to %j', (headers, upgrade) => {
    expect(readHead('GET / HTTP/1.1', 'Host: a', headers).upgrade).toEqual(upgrade);
  });

  it.each([
    ['HTTP/1.1', true],
    ['HTTP/1.0', false],
  ])('Expect in %s asks for 100: %s', (version, expected) => {
    const head = readHead(
      `PUT / ${version}`,
      'Host: a',
      'Content-Length: 1',
      'Expect: 100-Continue',
    );
    expect(head.expectContinue).toBe(expected);
  });
});

describe('headers', () => {
  it('come as received and in order, without the space around values', () => {
    const head = readHead('GET / HTTP/1.1', 'Host: a', 'X-B: \t b c \t', 'x-a:', 'X-B:\xe4');
    expect(head.headers).toEqual([
      { name: 'Host', value: 'a' },
      { name: 'X-B', value: 'b c' },
      { name: 'x-a', value: '' },
      { name: 'X-B', value: '\xe4' },
    ]);
  });

  it('of pipelined requests in one piece are each its own', () => {
    const text = 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\nX: 1\r\n\r\n';
    const heads = new RequestFraming()
      .push(Buffer.from(text))
      .flatMap((event) => (event.kind === 'head' ? [event.head] : []));
    expect(heads.map(({ headers }) => headers.length)).toEqual([1, 2]);
    expect(heads.map(({ headers }) => headers[0]?.value)).toEqual(['a', 'b']);
  });

  it('without the upgrade keep all other lines', () => {
    const head = readHead(
      'GET / HTTP/1.1',
      'Upgrade: x',
      'Host: a',
      'uPgrade:y',
      'Connection: upgrade',
    );
    expect(head.rawBytesWithoutUpgrade().toString()).toBe(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n',
    );
  });
});
