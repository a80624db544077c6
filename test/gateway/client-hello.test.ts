import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  alertRecord,
  ClientHelloReader,
  MAX_HELLO_BYTES,
  readClientHello,
  unrecognizedNameAlert,
} from '../../src/gateway/client-hello.js';
import {
  extension,
  helloMessage,
  hostName,
  LONG_KEY_SHARE,
  records,
  serverName,
  vector,
} from './client-hellos.js';
import { pieces } from './framing-summary.js';

const SNI = serverName(hostName('a.example'));

function helloWith(...extensions: Buffer[]): Buffer {
  return records(helloMessage({ extensions }));
}

function readInPieces(chunks: readonly Buffer[]) {
  const reader = new ClientHelloReader();
  return chunks.map((chunk) => reader.push(chunk)).at(-1);
}

describe('a ClientHello', () => {
  it.each([
    ['with a server name', helloWith(SNI), 'a.example'],
    [
      'with a name in capitals and a final dot',
      helloWith(serverName(hostName('A.Example.'))),
      'a.example',
    ],
    ['with a 1.7 KB key share before the name', helloWith(LONG_KEY_SHARE, SNI), 'a.example'],
    ['without a server name', helloWith(LONG_KEY_SHARE), null],
    ['without extensions', records(helloMessage({ extensions: null })), null],
    ['with an empty list of extensions', helloWith(), null],
    ['without a session id', records(helloMessage({ sessionId: Buffer.alloc(0) })), 'a.example'],
    [
      'in three records',
      records(helloMessage({ extensions: [LONG_KEY_SHARE, SNI] }), [3, 900]),
      'a.example',
    ],
    ['in records of one byte', records(helloMessage(), new Array(200).fill(1)), 'a.example'],
    [
      'followed by early data',
      Buffer.concat([helloWith(SNI), Buffer.of(23, 3, 3, 0, 1, 0)]),
      'a.example',
    ],
  ])('%s is read', (_, bytes, expected) => {
    expect(readClientHello(bytes)).toEqual({ kind: 'hello', serverName: expected });
  });

  it('that is cut off anywhere needs more', () => {
    const bytes = records(helloMessage(), [1, 2, 3]);
    for (let end = 0; end < bytes.length; end++) {
      expect(readClientHello(bytes.subarray(0, end))).toEqual({ kind: 'need-more' });
    }
  });

  it('in any records, in any pieces, says the same', () => {
    const message = helloMessage({ extensions: [LONG_KEY_SHARE, SNI] });
    const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 10 });
    fc.assert(
      fc.property(sizes, fc.array(fc.nat()), (recordSizes, cuts) => {
        const bytes = records(message, recordSizes);
        expect(readInPieces(pieces(bytes, cuts))).toEqual({
          kind: 'hello',
          serverName: 'a.example',
        });
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it('with any fault says the same in any pieces', () => {
    const message = helloMessage({ extensions: [SNI, LONG_KEY_SHARE.subarray(0, 4)] });
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 255 }), fc.array(fc.nat()), (at, byte, cuts) => {
        const bytes = records(message, [5, 30]);
        bytes[at % bytes.length] = byte;
        expect(readInPieces(pieces(bytes, cuts))).toEqual(readClientHello(bytes));
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it('of a real client is read', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const accepted = once(server, 'connection');
    const client = connectTls({ host: '127.0.0.1', port, servername: 'Blog.Example.com' });
    client.on('error', () => {});
    const [socket] = await accepted;
    const reader = new ClientHelloReader();
    for await (const chunk of socket) {
      const result = reader.push(chunk);
      if (result.kind === 'need-more') continue;
      expect(result).toEqual({ kind: 'hello', serverName: 'blog.example.com' });
      break;
    }
    client.destroy();
    server.close();
  });
});

describe('refused', () => {
  it.each([
    ['an HTTP request', Buffer.from('G'), 10],
    ['an SSLv2 hello', Buffer.of(0x80), 70],
    ['a version that is not TLS', Buffer.of(22, 2), 70],
    ['a record of 16 KiB and a byte', Buffer.of(22, 3, 1, 0x40, 1), 22],
    ['a record of 32 KiB', Buffer.of(22, 3, 1, 0x80), 22],
    ['an empty record', Buffer.of(22, 3, 1, 0, 0), 10],
    ['an empty record in between', Buffer.of(22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 0), 10],
    ['an alert in between', Buffer.of(22, 3, 1, 0, 1, 1, 21), 10],
    ['another handshake message', Buffer.of(22, 3, 1, 0, 4, 2), 10],
    ['a message of 64 KiB', Buffer.of(22, 3, 1, 0, 4, 1, 1), 47],
    ['a message of almost 64 KiB', Buffer.of(22, 3, 1, 0, 4, 1, 0, 0xff, 0xff), 47],
  ])('%s, at the byte that proves it', (_, bytes, alert) => {
    expect(readClientHello(bytes)).toMatchObject({ kind: 'refusal', alert });
    expect(readClientHello(bytes.subarray(0, -1))).toEqual({ kind: 'need-more' });
  });

  it.each([
    ['another version inside', records(helloMessage({ version: [2, 0] })), 70],
    ['a session id of 33 bytes', records(helloMessage({ sessionId: Buffer.alloc(33) })), 50],
    ['no cipher suites', records(helloMessage({ suites: Buffer.alloc(0) })), 50],
    ['half a cipher suite', records(helloMessage({ suites: Buffer.alloc(3) })), 50],
    ['no compression methods', records(helloMessage({ compressions: Buffer.alloc(0) })), 50],
    ['a hello of four bytes', records(Buffer.of(1, 0, 0, 4, 3, 3, 0, 0)), 50],
    ['an empty hello', records(Buffer.of(1, 0, 0, 0)), 50],
    ['bytes after the extensions', records(lengthen(helloMessage())), 50],
    [
      'bytes after the hello in its record',
      records(Buffer.concat([helloMessage(), Buffer.of(0)])),
      10,
    ],
    ['an extension longer than the list', helloWith(Buffer.of(0, 1, 0, 9, 1)), 50],
    ['an extension twice', helloWith(extension(5, Buffer.of(1)), extension(5, Buffer.of(1))), 47],
    ['the server name twice', helloWith(SNI, SNI), 47],
    ['two server names', helloWith(serverName(hostName('a.example'), hostName('b.example'))), 47],
    ['an empty list of server names', helloWith(serverName()), 50],
    ['an empty server name extension', helloWith(extension(0, Buffer.alloc(0))), 50],
    ['an empty server name', helloWith(serverName(hostName(''))), 50],
    [
      'a server name of another type',
      helloWith(serverName(Buffer.concat([Buffer.of(1), vector(2, Buffer.from('a'))]))),
      50,
    ],
    [
      'a server name longer than its list',
      helloWith(extension(0, Buffer.of(0, 4, 0, 0, 9, 97))),
      50,
    ],
    [
      'a list shorter than the extension',
      helloWith(extension(0, Buffer.of(0, 4, 0, 0, 1, 97, 0))),
      50,
    ],
    ['NUL in the server name', helloWith(serverName(hostName('a.example\0.b'))), 47],
    ['a non-ASCII server name', helloWith(serverName(hostName('ä.example'))), 47],
    ['a space in the server name', helloWith(serverName(hostName('a b'))), 47],
    ['an empty label', helloWith(serverName(hostName('a..example'))), 47],
    ['only a dot', helloWith(serverName(hostName('.'))), 47],
    ['a port', helloWith(serverName(hostName('a.example:443'))), 47],
    ['an IPv4 address', helloWith(serverName(hostName('127.0.0.1'))), 47],
    ['an IPv6 address', helloWith(serverName(hostName('::1'))), 47],
    ['a name of 254 bytes', helloWith(serverName(hostName(`${'a.'.repeat(126)}aa`))), 47],
  ])('%s', (_, bytes, alert) => {
    expect(readClientHello(bytes)).toMatchObject({ kind: 'refusal', alert });
  });

  it('a hello that costs more than 64 KiB with its record headers', () => {
    const message = helloMessage({ extensions: [extension(21, Buffer.alloc(20_000))] });
    const reader = new ClientHelloReader();
    let sentBytes = 0;
    for (const byte of records(message, new Array(message.length).fill(1))) {
      sentBytes += 1;
      if (reader.push(Buffer.of(byte)).kind !== 'need-more') break;
    }
    expect(reader.push(Buffer.alloc(1))).toMatchObject({ kind: 'refusal', alert: 47 });
    expect(sentBytes).toBeLessThanOrEqual(MAX_HELLO_BYTES + 5);
  });
});

describe('an alert', () => {
  it('is a record that a client takes for unrecognized_name', async () => {
    expect(unrecognizedNameAlert()).toEqual(alertRecord(112));
    const server = createServer((socket) => {
      socket.once('data', () => socket.end(unrecognizedNameAlert()));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const client = connectTls({ socket: connect(port, '127.0.0.1'), servername: 'x.example' });
    const [error] = await once(client, 'error').catch((reason) => [reason]);
    expect(String(error)).toMatch(/unrecognized name/i);
    server.close();
  });
});

/** One byte more at the end, and the message's length right. */
function lengthen(message: Buffer): Buffer {
  const longer = Buffer.concat([message, Buffer.of(0)]);
  longer.writeUIntBE(longer.length - 4, 1, 3);
  return longer;
}
