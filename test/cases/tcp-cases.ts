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
    await rig.host.allUsesEnded();
    expect(heard.join('')).toBe('wait, one more');
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

  it('a connection without bytes goes quiet, and its next byte waits until the service is awake', async () => {
    await using server = await startTcpServer((socket) => socket.pipe(socket));
    await using rig = createRig(server.port, { quietMs: 200 });
    let wakeUp = (): void => {};
    rig.host.onResume = () =>
      new Promise((resolve) => {
        wakeUp = resolve;
      });
    await using client = await RawClient.connect({ port: rig.port('db') });
    await client.send('a');
    await client.readText('a');
    await waitFor(() => rig.host.quietUses === 1, { what: 'the connection to go quiet' });
    await client.send('b');
    await waitFor(() => rig.host.resumes === 1, { what: 'the byte to wake the service' });
    expect(server.receivedBytes).toBe(1);
    wakeUp();
    expect(await client.readText('ab')).toBe('ab');
    expect(rig.host.quietUses).toBe(0);
  });

  it('a quiet connection whose service is gone is closed at its next byte', async () => {
    await using server = await startTcpServer((socket) => socket.pipe(socket));
    await using rig = createRig(server.port, { quietMs: 200 });
    rig.host.onResume = async () => {
      throw new Refusal('stopping');
    };
    await using client = await RawClient.connect({ port: rig.port('db') });
    await waitFor(() => rig.host.quietUses === 1, { what: 'the connection to go quiet' });
    await client.send('b');
    expect((await client.readToEnd()).length).toBe(0);
    await rig.host.allUsesEnded();
  });

  it('a service that ends closes its connections', async () => {
    await using server = await startTcpServer((socket) => socket.write('hello'));
    await using rig = createRig(server.port);
    await using client = await RawClient.connect({ port: rig.port('db') });
    await client.readText('hello');
    rig.engine.closeInstance('postgres', 1);
    await client.readToEnd();
    await rig.host.allUsesEnded();
  });

  it('a drained engine takes no new connection, and waits for the open ones', async () => {
    await using server = await startTcpServer((socket) => socket.pipe(socket));
    await using rig = createRig(server.port);
    await using client = await RawClient.connect({ port: rig.port('db') });
    await client.send('a');
    await client.readText('a');
    let isDrained = false;
    const drained = rig.engine.drain().then(() => {
      isDrained = true;
    });
    await expect(RawClient.connect({ port: rig.port('db') })).rejects.toThrow('ECONNREFUSED');
    await client.send('b');
    await client.readText('ab');
    expect(isDrained).toBe(false);
    client.end();
    await drained;
  });

  it('more connections than descriptors: the excess is refused, later ones are served', async () => {
    await using server = await startTcpServer((socket) => socket.pipe(socket));
    await using rig = createRig(server.port, {}, { options: { descriptorLimit: 32 } });
    const clients: RawClient[] = [];
    for (let count = 0; count < 6; count++) {
      clients.push(await RawClient.connect({ port: rig.port('db') }));
    }
    await waitFor(() => rig.host.refusals.length === 2, { what: 'the excess to be refused' });
    expect(rig.host.refusals[0]?.code).toBe('out-of-descriptors');
    for (const client of clients) client.socket.destroy();
    await rig.host.allUsesEnded();
    await using client = await RawClient.connect({ port: rig.port('db') });
    await client.send('x');
    expect(await client.readText('x')).toBe('x');
  });

  it('a stdio service gets the connection itself, unread and still open', async () => {
    await using rig = createRig(1, { kind: 'stdio' });
    let take = (): void => {};
    rig.host.onHandOver = () =>
      new Promise((resolve) => {
        take = resolve;
      });
    await using client = await RawClient.connect({ port: rig.port('db') });
    await client.send('hello\n');
    const { fd } = await waitFor(() => rig.host.handOvers[0]);
    const { duplicateFd } = await import('../../src/sys/descriptors.js');
    const process = new net.Socket({ fd: duplicateFd(fd), allowHalfOpen: true });
    take();
    const access = await rig.host.nextAccess();
    expect(access.service).toBe('postgres');
    const [bytes] = (await once(process, 'data')) as [Buffer];
    expect(bytes.toString()).toBe('hello\n');
    process.end('answer\n');
    expect((await client.readToEnd()).toString()).toBe('answer\n');
    client.end();
    await once(process, 'close');
  });

  it('a stdio service that refuses closes the connection', async () => {
    await using rig = createRig(1, { kind: 'stdio' });
    rig.host.onHandOver = () => Promise.reject(new Refusal('start-failed', null, 'no such file'));
    await using client = await RawClient.connect({ port: rig.port('db') });
    expect((await client.readToEnd()).length).toBe(0);
    expect(await rig.host.nextRefusal()).toMatchObject({ code: 'start-failed' });
  });
}
