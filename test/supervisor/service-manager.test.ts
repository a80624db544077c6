import { readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { ServiceManager } from '../../src/supervisor/service-manager.js';
import { closeFd, createPipe } from '../../src/sys/descriptors.js';
import { type Packet, receivePacket } from '../../src/sys/fd-passing.js';
import { bindDatagram } from '../../src/sys/sockets.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';

const cleanups: Array<() => void> = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function makePath(): string {
  const directory = makeTemporaryDirectory();
  cleanups.push(() => directory[Symbol.dispose]());
  return join(directory.path, 'notify');
}

/** A socket like the one that systemd reads. */
function bindReceiver(path = makePath()) {
  const fd = bindDatagram(path.replace(/^@/, '\0'));
  let isOpen = true;
  const close = () => {
    if (isOpen) closeFd(fd);
    isOpen = false;
  };
  cleanups.push(close);
  return { path, fd, close };
}

function createManager(environment: Record<string, string | undefined>) {
  const troubles: string[] = [];
  const manager = new ServiceManager({ environment, onTrouble: (what) => troubles.push(what) });
  cleanups.push(() => manager.close());
  return { manager, troubles };
}

function receive(fd: number): Packet | null {
  const packet = receivePacket(fd);
  if (packet === 'end') throw new Error('an empty datagram');
  if (packet) cleanups.push(() => packet.fds.forEach(closeFd));
  return packet;
}

/** The texts of all datagrams that are there. */
function receiveTexts(fd: number): string[] {
  const texts: string[] = [];
  for (let packet = receive(fd); packet; packet = receive(fd)) texts.push(packet.bytes.toString());
  return texts;
}

function makePipe() {
  const pipe = createPipe();
  cleanups.push(() => [pipe.readFd, pipe.writeFd].forEach(closeFd));
  return pipe;
}

test('the service manager is told each state in its own datagram', () => {
  const { path, fd } = bindReceiver();
  const { manager } = createManager({ NOTIFY_SOCKET: path });
  manager.ready();
  manager.status('12 services,\n2 awake');
  manager.watchdog();
  manager.extendTimeout(1500);
  manager.mainPid(42);
  manager.stopping();
  expect(receiveTexts(fd)).toEqual([
    'READY=1',
    'STATUS=12 services, 2 awake',
    'WATCHDOG=1',
    'EXTEND_TIMEOUT_USEC=1500000',
    'MAINPID=42',
    'STOPPING=1',
  ]);
});

test('a reload carries the monotonic time at which it began', () => {
  const { path, fd } = bindReceiver();
  const { manager } = createManager({ NOTIFY_SOCKET: path });
  const before = process.hrtime.bigint() / 1000n;
  manager.reloading();
  const after = process.hrtime.bigint() / 1000n;
  const [text = ''] = receiveTexts(fd);
  const usec = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(text)?.[1] ?? '0';
  expect(BigInt(usec)).toBeGreaterThanOrEqual(before);
  expect(BigInt(usec)).toBeLessThanOrEqual(after);
});

test('an abstract address is reached', () => {
  const { fd, path } = bindReceiver(`@rouse-test-${process.pid}`);
  createManager({ NOTIFY_SOCKET: path }).manager.ready();
  expect(receiveTexts(fd)).toEqual(['READY=1']);
});

test('without a service manager nothing happens, and nothing is complained about', async () => {
  for (const environment of [{}, { NOTIFY_SOCKET: '' }, { NOTIFY_SOCKET: 'vsock:2:1234' }]) {
    const { manager, troubles } = createManager({ ...environment, WATCHDOG_USEC: '1000000' });
    manager.ready();
    manager.storeDescriptors('web', [0]);
    expect(await manager.barrier()).toBe(true);
    expect(manager.isPresent).toBe(false);
    expect(manager.watchdogMs).toBeNull();
    expect(troubles).toEqual([]);
  }
});

test('stored descriptors arrive under their name, as others for the same files', () => {
  const { path, fd } = bindReceiver();
  const { manager } = createManager({ NOTIFY_SOCKET: path });
  const { readFd, writeFd } = makePipe();
  manager.storeDescriptors('web', [readFd, writeFd]);
  manager.storeDescriptors('watched', [readFd], { watched: true });
  const packet = receive(fd);
  expect(packet?.bytes.toString()).toBe('FDSTORE=1\nFDNAME=web\nFDPOLL=0');
  const [storedRead = -1, storedWrite = -1] = packet?.fds ?? [];
  writeSync(storedWrite, 'still there');
  const bytes = Buffer.alloc(16);
  expect(bytes.toString('utf8', 0, readSync(storedRead, bytes))).toBe('still there');
  expect(receive(fd)?.bytes.toString()).toBe('FDSTORE=1\nFDNAME=watched');
  manager.removeDescriptors('web');
  expect(receiveTexts(fd)).toEqual(['FDSTOREREMOVE=1\nFDNAME=web']);
});

test('more descriptors than a datagram takes are stored in several', () => {
  const { path, fd } = bindReceiver();
  const { manager, troubles } = createManager({ NOTIFY_SOCKET: path });
  const { readFd } = makePipe();
  manager.storeDescriptors('many', Array<number>(500).fill(readFd));
  const counts = [receive(fd), receive(fd), receive(fd)].map((packet) => packet?.fds.length);
  expect(counts).toEqual([240, 240, 20]);
  expect(troubles).toEqual([]);
});

test.for(['', 'a:b', 'naïve', 'line\nbreak', 'x'.repeat(256)])(
  'descriptors cannot be stored under a name that systemd refuses: %j',
  (name) => {
    const { path, fd } = bindReceiver();
    const { manager } = createManager({ NOTIFY_SOCKET: path });
    expect(() => manager.storeDescriptors(name, [0])).toThrow(/cannot be stored as/);
    expect(() => manager.removeDescriptors(name)).toThrow(/cannot be stored as/);
    expect(receiveTexts(fd)).toEqual([]);
  },
);

test('what a slow manager does not take at once arrives later, in order and with its descriptors', async () => {
  const { path, fd } = bindReceiver();
  const { manager, troubles } = createManager({ NOTIFY_SOCKET: path });
  const { readFd, writeFd } = makePipe();
  for (let number = 0; number < 100; number += 1) manager.status(`${number}`);
  manager.storeDescriptors('web', [writeFd]);
  const texts: string[] = [];
  const last = await waitFor(
    () => {
      const packet = receive(fd);
      if (packet?.bytes.toString().startsWith('STATUS=')) texts.push(packet.bytes.toString());
      return packet && packet.fds.length > 0 ? packet : null;
    },
    { everyMs: 0 },
  );
  expect(texts).toEqual(Array.from({ length: 100 }, (_, number) => `STATUS=${number}`));
  writeSync(last.fds[0] ?? -1, 'x');
  expect(readSync(readFd, Buffer.alloc(1))).toBe(1);
  expect(troubles).toEqual([]);
});

test('a barrier is passed when the manager has taken in what came before, and not earlier', async () => {
  const { path, fd } = bindReceiver();
  const { manager } = createManager({ NOTIFY_SOCKET: path });
  let hasPassed = false;
  const passed = manager.barrier().then((isPassed) => {
    hasPassed = isPassed;
  });
  const packet = await waitFor(() => receivePacket(fd));
  if (packet === 'end') throw new Error('an empty datagram');
  expect(packet.bytes.toString()).toBe('BARRIER=1');
  await new Promise((resolve) => setImmediate(resolve));
  expect(hasPassed).toBe(false);
  packet.fds.forEach(closeFd);
  await passed;
  expect(hasPassed).toBe(true);
});

test('a barrier is given up where the manager does not answer, and where there is none', async () => {
  const { path, close } = bindReceiver();
  const { manager } = createManager({ NOTIFY_SOCKET: path });
  expect(await manager.barrier(1)).toBe(false);
  close();
  expect(await manager.barrier()).toBe(false);
});

test('a manager that went away is complained about once, and told again when it is back', () => {
  const path = makePath();
  const first = bindReceiver(path);
  const { manager, troubles } = createManager({ NOTIFY_SOCKET: path });
  manager.ready();
  first.close();
  manager.watchdog();
  manager.watchdog();
  expect(troubles).toEqual([
    `cannot tell the service manager WATCHDOG=1 on ${path}: connect ${path}: ECONNREFUSED`,
  ]);
});

test('a manager whose socket was made anew is found again', () => {
  const path = `@rouse-test-again-${process.pid}`;
  const first = bindReceiver(path);
  const { manager, troubles } = createManager({ NOTIFY_SOCKET: path });
  manager.ready();
  first.close();
  const second = bindReceiver(path);
  manager.watchdog();
  expect(receiveTexts(second.fd)).toEqual(['WATCHDOG=1']);
  expect(troubles).toEqual([]);
});

test('the watchdog is meant for the process that it names, or for whoever is told', () => {
  const { path } = bindReceiver();
  const watchdogMs = (variables: Record<string, string>) =>
    createManager({ NOTIFY_SOCKET: path, ...variables }).manager.watchdogMs;
  expect(watchdogMs({})).toBeNull();
  expect(watchdogMs({ WATCHDOG_USEC: '3000000' })).toBe(3000);
  expect(watchdogMs({ WATCHDOG_USEC: '3000000', WATCHDOG_PID: `${process.pid}` })).toBe(3000);
  expect(watchdogMs({ WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1' })).toBeNull();
  expect(watchdogMs({ WATCHDOG_USEC: '0' })).toBeNull();
  expect(watchdogMs({ WATCHDOG_USEC: 'soon' })).toBeNull();
});
