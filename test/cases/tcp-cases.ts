import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { expect, it } from 'vitest';
import { Refusal } from '../../src/ipc/refusals.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import { type EngineFactory, Rig, type RigSpec, type ServiceSpec } from './engine-rig.js';
import { startTcpServer } from './servers.js';

const BULK_BYTES = 64 * 1024 * 1024;

/** What users of `tcp` listeners notice. */
export function tcpCases(createEngine: EngineFactory): void {
  const createRig = (
    target: number,
    service: Partial<ServiceSpec> = {},
    spec: Partial<RigSpec> = {},
  ) =>
    new Rig(createEngine, {
      listeners: [{ name: 'db', protocol: 'tcp' }],
      services: [{ name: 'postgres', routes: [{ listener: 'db' }], target, ...service }],
      ...spec,
    });

  it('a server that speaks first is heard before the client says anything', async () => {
    await using server = await startTcpServer((socket) => socket.write('220 hello\r\n'));
    await using rig = createRig(server.port);
    await using client = await RawClient.connect({ port: rig.port('db') });
    expect(await client.readText('hello')).toBe('220 hello\r\n');
  });

  it('a client that shuts down its sending side gets all that a slow server then answers', async () => {
    await using server = await startTcpServer((socket) => {
      const received: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => received.push(chunk));
      socket.on('end', () => {
        setTimeout(() => {
          socket.write('first ');
          setTimeout(() => socket.end(Buffer.concat(received)), 30);
        }, 30);
      });
    });
    await using rig = createRig(server.port);
    await using client = await RawClient.connect({ port: rig.port('db') });
    await client.send('question');
    client.end();
    expect((await client.readToEnd()).toString()).toBe('first question');
    await rig.host.allUsesEnded();
  });

  it('a server that ends first still hears what the client says', async () => {
    const heard: string[] = [];
    await using server = await startTcpServer((socket) => {
      socket.end('bye');
      socket.on('data', (chunk: Buffer) => heard.push(chunk.toString()));
    });
    await using rig = createRig(server.port);
    await using client = await RawClient.connect({ port: rig.port('db') });
    expect((await client.readToEnd()).toString()).toBe('bye');
    await client.send('wait, one more');
    client.end();
    await waitFor(() => heard.join('') === 'wait, one more', { what: 'the server to hear it' });
    await rig.host.allUsesEnded();
  });

  it('64 MiB to a slow reader arrive whole, and are not buffered on the way', async () => {
    const block = Buffer.alloc(1024 * 1024, 'rouse ');
    let sentBytes = 0;
    await using server = await startTcpServer((socket) => {
      const push = (): void => {
        while (sentBytes < BULK_BYTES) {
          sentBytes += block.length;
          if (!socket.write(block)) return void socket.once('drain', push);
        }
        socket.end();
      };
      push();
    });
    await using rig = createRig(server.port);
    const client = net.connect({ port: rig.port('db'), host: '127.0.0.1' });
    await once(client, 'connect');
    client.pause();
    await waitFor(() => sentBytes > 0 && sentBytes);
    let stuckAt = -1;
    await waitFor(
      () => {
        const isStuck = sentBytes === stuckAt;
        stuckAt = sentBytes;
        return isStuck;
      },
      { everyMs: 200 },
    );
    expect(stuckAt).toBeLessThan(BULK_BYTES / 2);
    const hash = createHash('sha256');
    for await (const chunk of client) hash.update(chunk);
    const expected = createHash('sha256');
    for (let bytes = 0; bytes < BULK_BYTES; bytes += block.length) expected.update(block);
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
  });

  it('64 MiB from a client to a slow server arrive whole', async () => {
    let receivedBytes = 0;
    await using server = await startTcpServer((socket) => {
      socket.on('data', (chunk: Buffer) => {
        receivedBytes += chunk.length;
        socket.pause();
        setImmediate(() => socket.resume());
      });
      socket.on('end', () => socket.end(`got ${receivedBytes}`));
    });
    await using rig = createRig(server.port);
    await using client = await RawClient.connect({ port: rig.port('db') });
    const block = Buffer.alloc(1024 * 1024);
    for (let bytes = 0; bytes < BULK_BYTES; bytes += block.length) await client.send(block);
    client.end();
    expect((await client.readToEnd()).toString()).toBe(`got ${BULK_BYTES}`);
    const access = await rig.host.nextAccess();
    expect(access.bytesIn).toBe(BULK_BYTES);
    expect(access.bytesOut).toBe(`got ${BULK_BYTES}`.length);
  });

  it('bytes that a client sends while the service wakes reach it', async () => {
    await using server = await startTcpServer((socket) => socket.pipe(socket));
    await using rig = createRig(server.port);
    const release = rig.host.hold();
    await using client = await RawClient.connect({ port: rig.port('db') });
    await client.send('early');
    await waitFor(() => rig.host.demands[0]);
    expect(server.connections).toBe(0);
    release();
    expect(await client.readText('early')).toBe('early');
  });

  it('a server that breaks off breaks off the client', async () => {
    await using server = await startTcpServer((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    await using rig = createRig(server.port);
    const client = net.connect({ port: rig.port('db'), host: '127.0.0.1' });
    client.write('x');
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    await rig.host.allUsesEnded();
  });

  it('a client that breaks off breaks off the server', async () => {
    await using server = await startTcpServer((socket) => socket.write('hello'));
    await using rig = createRig(server.port);
    await using client = await RawClient.connect({ port: rig.port('db') });
    await client.readText('hello');
    client.socket.resetAndDestroy();
    await waitFor(() => server.errors.includes('ECONNRESET'), { what: 'the server to be told' });
    await rig.host.allUsesEnded();
    expect(rig.host.accesses).toHaveLength(1);
  });

  it('a service that cannot be dialled closes the connection, with the reason in the log', async () => {
    await using rig = createRig(1);
    await using client = await RawClient.connect({ port: rig.port('db') });
    expect((await client.readToEnd()).length).toBe(0);
    const refusal = await rig.host.nextRefusal();
    expect(refusal).toMatchObject({ code: 'upstream-unreachable', service: 'postgres' });
    await rig.host.allUsesEnded();
  });

  it('a refused demand closes the connection, with the reason in the log', async () => {
    await using rig = createRig(1);
    rig.host.refuseWith = new Refusal('backoff', 3_000, 'exit code 1');
    await using client = await RawClient.connect({ port: rig.port('db') });
    expect((await client.readToEnd()).length).toBe(0);
    expect(await rig.host.nextRefusal()).toMatchObject({ code: 'backoff', detail: 'exit code 1' });
  });

  it('a denied source gets nothing', async () => {
    await using rig = createRig(1);
    rig.host.admitRefusal = 'access-denied';
    await using client = await RawClient.connect({ port: rig.port('db') });
    expect((await client.readToEnd()).length).toBe(0);
    expect(rig.host.demands).toHaveLength(0);
    expect((await rig.host.nextRefusal()).code).toBe('access-denied');
  });

  it('a connection that no route takes is closed without waking anything', async () => {
    await using rig = createRig(1, { routes: [{ listener: 'other' }] });
    await using client = await RawClient.connect({ port: rig.port('db') });
    expect((await client.readToEnd()).length).toBe(0);
    expect(rig.host.demands).toHaveLength(0);
  });

  it('services are told apart by the address that the client connected to, on one wildcard socket', async () => {
    await using one = await startTcpServer((socket) => socket.end('one'));
    await using two = await startTcpServer((socket) => socket.end('two'));
    await using rig = new Rig(createEngine, {
      listeners: [{ name: 'all', protocol: 'tcp', host: '::' }],
      services: [
        {
          name: 'one',
          routes: [{ destination: { cidr: '127.0.0.2/32', port: null } }],
          target: one.port,
        },
        {
          name: 'two',
          routes: [{ destination: { cidr: '127.0.0.3/32', port: null } }],
          target: two.port,
        },
      ],
    });
    for (const [host, answer] of [
      ['127.0.0.2', 'one'],
      ['127.0.0.3', 'two'],
    ] as const) {
      await using client = await RawClient.connect({ host, port: rig.port('all') });
      expect((await client.readToEnd()).toString()).toBe(answer);
    }
    const demand = rig.host.demands[0];
    expect(demand?.destination).toBe(`127.0.0.2:${rig.port('all')}`);
    expect(demand?.source).toMatch(/^127\.0\.0\.1:\d+$/);
  });
}
