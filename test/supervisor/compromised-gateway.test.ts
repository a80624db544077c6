import { openSync } from 'node:fs';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RouseError } from '../../src/base/errors.js';
import { Underway } from '../../src/base/underway.js';
import type { GatewayConfig } from '../../src/ipc/gateway-config.js';
import { GatewayLane } from '../../src/supervisor/gateway-lane.js';
import { LaneShare } from '../../src/supervisor/lane-share.js';
import type { ServiceDriver } from '../../src/supervisor/service-driver.js';
import { TrafficCounters } from '../../src/supervisor/traffic-counters.js';
import { closeFd } from '../../src/sys/descriptors.js';
import { receivePacket, sendPacket } from '../../src/sys/fd-passing.js';
import { createSocketPair } from '../../src/sys/sockets.js';
import { waitFor } from '../support/wait-for.js';

const SERVICE = 'blog';
const ENDS = { source: '192.0.2.1:5', destination: '192.0.2.2:80' };
const acquire = {
  type: 'acquire',
  service: SERVICE,
  listener: 'web',
  source: 's',
  cause: 'request',
};

/** A share of the config that leads to these services. */
function shareOf(services: readonly string[]): LaneShare {
  const named = services.map((name) => ({ name })) as unknown as GatewayConfig['services'];
  return new LaneShare({
    generation: 1,
    gateway: 'main',
    listeners: [],
    services: named,
    log: { level: 'info', access: false },
  });
}

let fd: number;
let lane: GatewayLane;
let counters: TrafficCounters;
let failure: RouseError | null | undefined;
const driver = {
  service: {
    upstreams: [{ kind: 'tcp', host: '127.0.0.1', port: 80 }],
    limits: { connections: 1 },
  },
  acquire: vi.fn(),
  release: vi.fn(),
  holds: vi.fn(() => null),
};
const driverFor = vi.fn(() => driver as unknown as ServiceDriver);

beforeEach(() => {
  vi.clearAllMocks();
  const [ours, theirs] = createSocketPair('seqpacket');
  fd = theirs;
  failure = undefined;
  counters = new TrafficCounters();
  lane = new GatewayLane(ours, {
    ...{ name: 'main', epoch: 'main#1/0', log: pino({ level: 'silent' }), counters, driverFor },
    underway: new Underway(),
    renderMetrics: async () => '',
    onProgress: () => {},
    onEnd: (reason) => (failure = reason),
  });
});
afterEach(() => {
  lane.close();
  closeFd(fd);
});

function say(message: unknown, fds: readonly number[] = []): boolean {
  const packet = typeof message === 'string' ? message : JSON.stringify(message);
  return sendPacket(fd, Buffer.from(packet), fds);
}

/** The next thing that the supervisor answers, its config left out. */
function hear(): Promise<{ message: Record<string, unknown>; fds: number[] }> {
  return waitFor(() => {
    const packet = receivePacket(fd);
    if (packet === null || packet === 'end') return null;
    const message = JSON.parse(packet.bytes.toString()) as Record<string, unknown>;
    return message.type === 'configure' ? null : { message, fds: packet.fds };
  });
}

describe('a gateway that has been taken over', () => {
  test('starts no service that it has no route to', async () => {
    lane.configure(shareOf(['shop']));
    say(acquire);
    expect((await hear()).message).toMatchObject({ type: 'refused', code: 'no-route' });
    say({ type: 'hand-over', id: 1, service: SERVICE, listener: 'web', ends: ENDS }, [fd]);
    expect((await hear()).message).toMatchObject({ type: 'handed', refusal: { code: 'no-route' } });
    expect(driverFor).not.toHaveBeenCalled();

    lane.configure(shareOf(['shop', SERVICE]));
    say(acquire);
    await waitFor(() => driver.acquire.mock.calls.length === 1);
  });

  test('gets no socket and no connection of a service that it has no lease of', async () => {
    lane.configure(shareOf([SERVICE]));
    const asked = { id: 7, service: SERVICE, instance: 1, upstream: 'tcp:127.0.0.1:80' };
    say({ type: 'sockets', ...asked, count: 100 });
    expect(await hear()).toMatchObject({ message: { type: 'sockets', id: 7 }, fds: [] });
    say({ type: 'dial', ...asked, ends: ENDS });
    expect(await hear()).toMatchObject({ message: { type: 'dialed', errno: 111 }, fds: [] });

    const createSockets = vi.fn(() => [openSync('/dev/null', 'r')]);
    driver.holds.mockReturnValueOnce({ createSockets } as unknown as null);
    say({ type: 'sockets', ...asked, count: 100 });
    expect((await hear()).fds).toHaveLength(1);
  });

  test('ends no lease of a service that it has no route to, and counts nothing for it', async () => {
    lane.configure(shareOf(['shop']));
    say({ type: 'release', service: SERVICE, instance: 1, idleMs: 0 });
    const row = { connections: 9, held: 0, requestsInFlight: 0, requestsTotal: 9, refusals: {} };
    const services = ['shop', SERVICE].map((name) => ({ name, ...row }));
    say({ type: 'report', id: null, services, listeners: [], more: false });
    await waitFor(() => counters.service('shop').connections === 9);
    expect(counters.service(SERVICE).connections).toBe(0);
    expect(driver.release).not.toHaveBeenCalled();
  });

  test.each([
    ['text', 'no JSON'],
    ['an unknown message', { type: 'shell', command: 'id' }],
    ['a key too many', { ...acquire, user: 'root' }],
    ['a number where a name belongs', { ...acquire, service: 1 }],
    [
      'too many sockets',
      { type: 'sockets', id: 1, service: SERVICE, instance: 1, upstream: 'x', count: 129 },
    ],
    ['an endless name', { ...acquire, service: 'x'.repeat(10_000) }],
    ['another version', { type: 'hello', version: 99 }],
    ['deep nesting', '['.repeat(20_000)],
  ])('is cut off when it sends %s', async (_what, message) => {
    lane.configure(shareOf([SERVICE]));
    say(message);
    await waitFor(() => failure);
    expect(failure).toMatchObject({ code: 'protocol' });
  });

  test('is taken for ended when it sends nothing', async () => {
    lane.configure(shareOf([SERVICE]));
    say('');
    await waitFor(() => failure !== undefined);
  });

  test('is cut off when it sends descriptors that nobody asked for', async () => {
    lane.configure(shareOf([SERVICE]));
    say(acquire, [fd, fd, fd]);
    await waitFor(() => failure);
    expect(driver.acquire).not.toHaveBeenCalled();
  });

  test('is cut off when it asks on and on and reads no answer', async () => {
    lane.configure(shareOf(['shop']));
    await waitFor(() => {
      for (let sent = 0; sent < 2000 && failure === undefined && say(acquire); sent += 1);
      return failure;
    });
    expect(failure?.message).toContain('does not read');
  });
});
