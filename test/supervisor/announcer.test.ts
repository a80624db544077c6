import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import type { ServiceState, StateEvent } from '../../src/ipc/admin-api.js';
import { Announcer, describeServices } from '../../src/supervisor/announcer.js';
import { ServiceManager } from '../../src/supervisor/service-manager.js';
import { closeFd } from '../../src/sys/descriptors.js';
import { receivePacket } from '../../src/sys/fd-passing.js';
import { bindDatagram } from '../../src/sys/sockets.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';

const cleanups: Array<() => void> = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** An announcer of a supervisor with these services, and what its manager hears. */
function createAnnouncer(states: ServiceState[]) {
  const directory = makeTemporaryDirectory();
  const path = join(directory.path, 'notify');
  const fd = bindDatagram(path);
  const manager = new ServiceManager({ environment: { NOTIFY_SOCKET: path }, onTrouble: () => {} });
  const drivers = new Map(states.map((state, index) => [`service${index}`, { state }]));
  const listeners = new Set<(event: StateEvent) => void>();
  const onState = (listener: (event: StateEvent) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const announcer = new Announcer({ manager, services: { size: states.length, drivers, onState } });
  cleanups.push(() => {
    announcer.close();
    manager.close();
    closeFd(fd);
    directory[Symbol.dispose]();
  });
  const change = (name: string, state: ServiceState) => {
    drivers.set(name, { state });
    for (const listener of listeners) listener({} as StateEvent);
  };
  return { announcer, change, heard: () => hear(fd) };
}

function hear(fd: number): string[] {
  const heard: string[] = [];
  for (let packet = receivePacket(fd); packet; packet = receivePacket(fd)) {
    if (packet === 'end') throw new Error('an empty datagram');
    heard.push(packet.bytes.toString().replace(/MONOTONIC_USEC=\d+/, 'MONOTONIC_USEC=…'));
  }
  return heard;
}

test('the status line counts what a person would ask for', () => {
  expect(describeServices(0, [])).toBe('0 services, 0 awake');
  expect(describeServices(1, ['stopped'])).toBe('1 service, 0 awake');
  expect(describeServices(12, ['running', 'starting', 'running', ...idle(3)])).toBe(
    '12 services, 2 awake, 1 starting',
  );
  expect(describeServices(4, ['frozen', 'failed', 'stopping', 'failed'])).toBe(
    '4 services, 0 awake, 1 frozen, 1 stopping, 2 failed',
  );
});

function idle(count: number): ServiceState[] {
  return Array<ServiceState>(count).fill('stopped');
}

test('a burst of changes makes one line, with what is true at its end', async () => {
  const { announcer, change, heard } = createAnnouncer(idle(1000));
  announcer.started();
  expect(heard()).toEqual(['STATUS=1000 services, 0 awake', 'READY=1']);
  for (const state of ['starting', 'running'] as const)
    for (let index = 0; index < 1000; index += 1) change(`service${index}`, state);
  const lines = await waitFor(() => {
    const texts = heard();
    return texts.length > 0 ? texts : null;
  });
  expect(lines).toEqual(['STATUS=1000 services, 1000 awake']);
});

test('a reload is said to begin and to end, also one that is refused, and that one is told why', async () => {
  const { announcer, heard } = createAnnouncer(idle(2));
  await announcer.reload(async () => {});
  const begin = 'RELOADING=1\nMONOTONIC_USEC=…';
  expect(heard()).toEqual([begin, 'STATUS=2 services, 0 awake', 'READY=1']);
  const refused = async () => {
    throw new Error('rouse.yaml:3:1: no such key\nrouse.yaml:4:1: nor this');
  };
  await expect(announcer.reload(refused)).rejects.toThrow('no such key');
  const why = '; the last reload was refused: rouse.yaml:3:1: no such key';
  expect(heard()).toEqual([begin, `STATUS=2 services, 0 awake${why}`, 'READY=1']);
  await announcer.reload(async () => {});
  expect(heard()).toContain('STATUS=2 services, 0 awake');
});

test('of reloads that overlap only the last end is said', async () => {
  const { announcer, heard } = createAnnouncer([]);
  const ends: Array<() => void> = [];
  const reload = () => announcer.reload(() => new Promise<void>((end) => ends.push(end)));
  const reloads = [reload(), reload()];
  ends[0]?.();
  await reloads[0];
  expect(heard()).not.toContain('READY=1');
  ends[1]?.();
  await reloads[1];
  expect(heard()).toContain('READY=1');
});

test('a reload that ends while rouse stops does not say that it serves again', async () => {
  const { announcer, heard } = createAnnouncer(['running']);
  let end = () => {};
  const reload = announcer.reload(() => new Promise<void>((resolve) => (end = resolve)));
  announcer.stopping(0);
  end();
  await reload;
  const texts = heard();
  expect(texts).toContain('STOPPING=1');
  expect(texts).toContain('STATUS=stopping: 1 service, 1 awake');
  expect(texts).not.toContain('READY=1');
});

test('while it stops the manager is asked for patience, for no longer than the stop may take', () => {
  vi.useFakeTimers();
  cleanups.push(() => void vi.useRealTimers());
  const { announcer, heard } = createAnnouncer(['running']);
  announcer.stopping(20_000);
  const extensions = () => heard().filter((text) => text.startsWith('EXTEND_TIMEOUT_USEC='));
  expect(extensions()).toEqual(['EXTEND_TIMEOUT_USEC=10000000']);
  const asked: string[] = [];
  for (let passedMs = 0; passedMs < 47_500; passedMs += 2500) {
    vi.advanceTimersByTime(2500);
    asked.push(...extensions());
  }
  expect(asked).toHaveLength(19);
  expect(asked.slice(-2)).toEqual(['EXTEND_TIMEOUT_USEC=5000000', 'EXTEND_TIMEOUT_USEC=2500000']);
  vi.advanceTimersByTime(60_000);
  expect(extensions()).toEqual([]);
});
