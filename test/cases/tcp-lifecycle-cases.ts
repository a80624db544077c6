import { once } from 'node:events';
import net from 'node:net';
import { expect, it } from 'vitest';
import { Refusal } from '../../src/ipc/refusals.js';
import { duplicateFd } from '../../src/sys/descriptors.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import { type EngineFactory, Rig, type RigSpec, type ServiceSpec } from './engine-rig.js';
import { startTcpServer } from './servers.js';

/** Quiet connections, services and engines that end, and connections that are handed over. */
export function tcpLifecycleCases(createEngine: EngineFactory): void {
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
    const drained = rig.engine.drain(false, false).then(() => {
      isDrained = true;
    });
    await expect(RawClient.connect({ port: rig.port('db') })).rejects.toThrow('ECONNREFUSED');
    await client.send('b');
    await client.readText('ab');
    expect(isDrained).toBe(false);
    client.end();
    await drained;
  });

  it('while clients are drained services go on reaching each other', async () => {
    await using server = await startTcpServer((socket) => socket.pipe(socket));
    const listeners = [
      { name: 'db', protocol: 'tcp' },
      { name: 'app>postgres', protocol: 'tcp', reaches: 'postgres' },
    ] as const;
    await using rig = createRig(server.port, {}, { listeners });
    await using client = await RawClient.connect({ port: rig.port('db') });
    await using service = await RawClient.connect({ port: rig.port('app>postgres') });
    for (const each of [client, service]) {
      await each.send('a');
      await each.readText('a');
    }
    const drained = rig.engine.drain(true, false);
    await expect(RawClient.connect({ port: rig.port('db') })).rejects.toThrow('ECONNREFUSED');
    client.end();
    await drained;
    await service.send('b');
    await service.readText('ab');
    await using later = await RawClient.connect({ port: rig.port('app>postgres') });
    await later.send('c');
    await later.readText('c');
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
