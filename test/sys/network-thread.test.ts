import { closeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
// The thread is a file of its own: it takes the built one.
import { closeFd } from '../../dist/sys/descriptors.js';
import { getsockopt, IPPROTO_TCP, NativeMemory, TCP_NODELAY } from '../../dist/sys/libc.js';
import {
  closeNetwork,
  createSocketsIn,
  listenIn,
  openNetworkOf,
  prepareNetwork,
} from '../../dist/sys/namespaces.js';
import { createStreamSocket, localAddress, startConnect } from '../../dist/sys/sockets.js';
import { runToEnd } from '../support/run-process.js';
import { NamespaceHolder, titled, whyNoNamespaces } from './namespace-holder.js';

const ANY_PORT = { kind: 'inet', host: '127.0.0.1', port: 0 } as const;

describe.skipIf(whyNoNamespaces !== null)(titled('sockets of another network'), () => {
  const openNetwork = (holder: NamespaceHolder) => openNetworkOf(holder.pid);

  test('belong there: they reach each other, and nobody outside reaches them', async () => {
    await using holder = await NamespaceHolder.start();
    const network = openNetwork(holder);
    const listening = listenIn(network, ANY_PORT, 16);
    const address = localAddress(listening);
    if (address?.kind !== 'inet') throw new Error('no address');
    for (const fd of createSocketsIn(network, 'inet', 3)) {
      expect(startConnect(fd, address)).toBe('connected');
      closeFd(fd);
    }
    const outside = createStreamSocket('inet');
    expect(startConnect(outside, address)).toEqual({ errno: 111 });
    closeFd(outside);
    closeFd(listening);
    closeNetwork(network);
  });

  test('two networks have the same port twice', async () => {
    await using first = await NamespaceHolder.start();
    await using second = await NamespaceHolder.start();
    const networks = [openNetwork(first), openNetwork(second)];
    const address = { kind: 'inet', host: '127.0.0.1', port: 3000 } as const;
    const listening = networks.map((network) => listenIn(network, address, 16));
    expect(() => listenIn(networks[0] as number, address, 16)).toThrow(/EADDRINUSE/);
    for (const fd of listening) closeFd(fd);
    for (const network of networks) closeNetwork(network);
  });

  test('come as many as are asked for, of both families', async () => {
    await using holder = await NamespaceHolder.start();
    const network = openNetwork(holder);
    for (const family of ['inet', 'inet6'] as const) {
      const fds = createSocketsIn(network, family, 128);
      expect(new Set(fds).size).toBe(128);
      for (const fd of fds) closeFd(fd);
    }
    closeNetwork(network);
  });

  test('a fresh network is set up so that any port may be bound and none dials itself', async () => {
    await using holder = await NamespaceHolder.start();
    const network = openNetwork(holder);
    prepareNetwork(network, [3000, 40_000]);
    const read = async (name: string) => {
      const file = `/proc/sys/net/ipv4/${name}`;
      const command = ['nsenter', '-t', String(holder.pid), '-n', 'cat', file];
      return (await runToEnd(command)).stdout.trim();
    };
    expect(await read('ip_unprivileged_port_start')).toBe('0');
    expect(await read('ip_local_port_range')).toBe('32768\t65535');
    expect(await read('ip_local_reserved_ports')).toBe('3000,40000');
    closeNetwork(network);
  });

  test('hold small writes back for nobody', async () => {
    await using holder = await NamespaceHolder.start();
    const network = openNetwork(holder);
    for (const family of ['inet', 'inet6'] as const) {
      const [fd = -1] = createSocketsIn(network, family, 1);
      const value = new NativeMemory(8);
      value.bytes.writeInt32LE(4, 4);
      getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, value.address, value.address + 4n);
      expect(value.bytes.readInt32LE(0)).toBe(1);
      closeFd(fd);
    }
    closeNetwork(network);
  });

  test('what is no network is an error by name, and the next request works', async () => {
    await using holder = await NamespaceHolder.start();
    const network = openNetwork(holder);
    closeSync(network);
    expect(() => createSocketsIn(network, 'inet', 1)).toThrow(/create sockets .*: EBADF/);
    const again = openNetwork(holder);
    for (const fd of createSocketsIn(again, 'inet', 1)) closeFd(fd);
    closeNetwork(again);
  });
});
