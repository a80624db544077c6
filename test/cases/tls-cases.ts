import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeCertificate } from '../support/certificates.js';
import { RawClient } from '../support/raw-client.js';
import { runToEnd } from '../support/run-process.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { type EngineFactory, Rig, type RigSpec } from './engine-rig.js';
import { startTcpServer } from './servers.js';

const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

interface TlsServer extends AsyncDisposable {
  readonly port: number;
}

/** The first record of a handshake for `servername` (none: null). */
async function recordHello(servername: string | null): Promise<Buffer> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false };
  const client = tls.connect(servername === null ? options : { ...options, servername });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  client.destroy();
  server.close();
  return hello;
}

/** The handshake message cut into records of a third of it each. */
function cutIntoRecords(hello: Buffer): Buffer {
  const message = hello.subarray(5);
  const size = Math.ceil(message.length / 3);
  const records = [0, 1, 2].map((index) => {
    const part = message.subarray(index * size, (index + 1) * size);
    return Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part]);
  });
  return Buffer.concat(records);
}

/** What users of `tls` listeners notice: routed by name, passed on unopened. */
export function tlsCases(createEngine: EngineFactory): void {
  const directory = makeTemporaryDirectory();
  const secrets = new Map<string, { cert: Buffer; key: Buffer }>();
  beforeAll(async () => {
    for (const name of ['one.example', 'two.example'] as const) {
      const { cert, key } = await makeCertificate(directory.path, [name]);
      secrets.set(name, { cert: readFileSync(cert), key: readFileSync(key) });
    }
  });
  afterAll(() => directory[Symbol.dispose]());

  async function startTlsServer(name: string): Promise<TlsServer> {
    const server = tls.createServer({ ...secrets.get(name) }, (socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => socket.end(`${name} heard ${chunk}`));
    });
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
      port: (server.address() as net.AddressInfo).port,
      [Symbol.asyncDispose]: async () => void server.close(),
    };
  }

  const createRig = (one: number, two: number, spec: Partial<RigSpec> = {}): Rig =>
    new Rig(createEngine, {
      listeners: [{ name: 'secure', protocol: 'tls' }],
      services: [
        { name: 'one', routes: [{ sni: 'one.example' }], target: one },
        { name: 'two', routes: [{ sni: '*.two.example' }, { sni: 'two.example' }], target: two },
      ],
      ...spec,
    });

  it('clients reach the server of the name they ask for, with its own certificate', async () => {
    await using one = await startTlsServer('one.example');
    await using two = await startTlsServer('two.example');
    await using rig = createRig(one.port, two.port);
    for (const name of ['one.example', 'two.example']) {
      const ca = secrets.get(name)?.cert;
      const client = tls.connect({
        port: rig.port('secure'),
        host: '127.0.0.1',
        servername: name,
        ca,
      });
      await once(client, 'secureConnect');
      client.write('hi');
      const [answer] = await once(client, 'data');
      expect(String(answer)).toBe(`${name} heard hi`);
      client.destroy();
    }
    await rig.host.allUsesEnded();
    expect(rig.host.accesses.map(({ name }) => name)).toEqual(['one.example', 'two.example']);
  });

  it('openssl s_client gets through', async () => {
    await using one = await startTlsServer('one.example');
    await using rig = createRig(one.port, 1);
    const { stdout } = await runToEnd(
      [
        'openssl',
        's_client',
        '-connect',
        `127.0.0.1:${rig.port('secure')}`,
        '-servername',
        'one.example',
        '-brief',
        '-ign_eof',
      ],
      { input: 'hi\n' },
    ).catch((error: Error) => ({ stdout: error.message }));
    expect(stdout).toContain('one.example heard hi');
  }, 15_000);

  it.each([
    ['one byte at a time', (hello: Buffer) => hello, 1],
    ['in three TLS records', cutIntoRecords, 100_000],
    ['in three TLS records, seven bytes at a time', cutIntoRecords, 7],
  ])('a ClientHello that comes %s reaches the server unchanged', async (_, shape, pieceBytes) => {
    const received: Buffer[] = [];
    await using server = await startTcpServer((socket) => {
      socket.on('data', (chunk: Buffer) => received.push(chunk));
    });
    await using rig = createRig(server.port, 1);
    await using client = await RawClient.connect({ port: rig.port('secure') });
    const bytes = shape(await recordHello('one.example'));
    await client.sendInPieces(bytes, pieceBytes);
    await waitFor(() => Buffer.concat(received).equals(bytes), { what: 'the hello' });
  });

  it('what a client sends right behind its hello is not lost', async () => {
    const received: Buffer[] = [];
    await using server = await startTcpServer((socket) => {
      socket.on('data', (chunk: Buffer) => received.push(chunk));
      socket.on('end', () => socket.end('seen all'));
    });
    await using rig = createRig(server.port, 1);
    const release = rig.host.hold();
    await using client = await RawClient.connect({ port: rig.port('secure') });
    const bytes = Buffer.concat([await recordHello('one.example'), Buffer.from('early data')]);
    await client.send(bytes);
    client.end();
    await waitFor(() => rig.host.demands[0]);
    release();
    expect((await client.readToEnd()).toString()).toBe('seen all');
    expect(Buffer.concat(received).equals(bytes)).toBe(true);
  });

  it.each(['three.example', null])(
    'a client that asks for %s gets an unrecognized_name alert, and nothing wakes',
    async (name) => {
      await using rig = createRig(1, 1);
      await using client = await RawClient.connect({ port: rig.port('secure') });
      await client.send(await recordHello(name));
      expect(await client.readToEnd()).toEqual(UNRECOGNIZED_NAME);
      expect(rig.host.demands).toHaveLength(0);
      expect((await rig.host.nextRefusal()).code).toBe('no-route');
    },
  );

  it('a client without a name reaches the service that takes the whole listener', async () => {
    await using server = await startTcpServer((socket) => socket.end('default'));
    await using rig = createRig(1, 1, {
      services: [{ name: 'any', routes: [{ listener: 'secure' }], target: server.port }],
    });
    await using client = await RawClient.connect({ port: rig.port('secure') });
    await client.send(await recordHello(null));
    expect((await client.readToEnd()).toString()).toBe('default');
  });

  it.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: one.example\r\n\r\n')],
    [
      'an SSLv2 hello',
      Buffer.from('802e0100020015000000100100800200800300800400800500800600', 'hex'),
    ],
    ['zeros', Buffer.alloc(100_000)],
  ])('%s is answered with an alert', async (_, bytes) => {
    await using rig = createRig(1, 1);
    await using client = await RawClient.connect({ port: rig.port('secure') });
    void client.send(bytes);
    const answer = await client.readToEnd();
    expect([answer.length, answer[0], answer[5]]).toEqual([7, 21, 2]);
    expect((await rig.host.nextRefusal()).code).toBe('bad-request');
  });

  it('a client that says nothing is closed in time', async () => {
    await using rig = createRig(1, 1, { options: { helloMs: 200 } });
    await using client = await RawClient.connect({ port: rig.port('secure') });
    await client.readToEnd();
    expect((await rig.host.nextRefusal()).code).toBe('request-timeout');
  });
}
