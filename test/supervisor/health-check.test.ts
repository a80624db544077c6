import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { Underway } from '../../src/base/underway.js';
import { Channel } from '../../src/ipc/channel.js';
import { GatewayLane } from '../../src/supervisor/gateway-lane.js';
import { HealthCheck, type Watched } from '../../src/supervisor/health-check.js';
import { Pulse } from '../../src/supervisor/pulse.js';
import { TrafficCounters } from '../../src/supervisor/traffic-counters.js';
import { createSocketPair } from '../../src/sys/sockets.js';
import { waitFor } from '../support/wait-for.js';

const cleanups: Array<() => void> = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** A gateway's lane, and the thread at the other end of its channel, which answers while `answers`. */
function createLane() {
  const [ours, theirs] = createSocketPair('seqpacket');
  const lane = new GatewayLane(ours, {
    ...{ name: 'main', epoch: 'main#1/0', log: pino({ level: 'silent' }) },
    counters: new TrafficCounters(),
    driverFor: () => null,
    underway: new Underway(),
    renderMetrics: async () => '',
    onProgress: () => {},
    onEnd: () => {},
  });
  const thread = { answers: true, asked: 0, answer: () => channel.send({ type: 'beat' }) };
  const channel = new Channel<{ type: string }, { type: string }>(theirs, {
    parse: (value) => value as { type: string },
    onMessage: ({ type }) => {
      if (type !== 'beat') return;
      thread.asked += 1;
      if (thread.answers) thread.answer();
    },
    onEnd: () => {},
  });
  cleanups.push(
    () => lane.close(),
    () => channel.close(),
  );
  return { lane, thread };
}

/** Beats until the thread was asked `times` more: it is asked again only after an answer. */
async function beatUntilAsked(created: ReturnType<typeof createLane>, times: number) {
  const { lane, thread } = created;
  const goal = thread.asked + times;
  await waitFor(
    () => {
      lane.pulse.beat(false);
      return thread.asked >= goal;
    },
    { everyMs: 0 },
  );
}

test('an idle thread answers every beat and is never taken for hung', async () => {
  const created = createLane();
  await beatUntilAsked(created, 50);
  expect(created.lane.pulse.isHung).toBe(false);
});

test('a thread that answers no more is hung after several beats, and asked only once meanwhile', async () => {
  const created = createLane();
  const { lane, thread } = created;
  await beatUntilAsked(created, 2);
  thread.answers = false;
  await beatUntilAsked(created, 1);
  const { asked } = thread;
  for (let beats = 0; beats < 4; beats += 1) lane.pulse.beat(true);
  expect(lane.pulse.isHung).toBe(false);
  lane.pulse.beat(true);
  expect(lane.pulse.isHung).toBe(true);
  expect(thread.asked).toBe(asked);
});

test('a late answer counts: a thread is not killed for the sum of its delays', () => {
  const pulse = new Pulse(() => {});
  for (let round = 0; round < 10; round += 1) {
    for (let beats = 0; beats < 5; beats += 1) pulse.beat(true);
    expect(pulse.isHung).toBe(false);
    pulse.answer();
  }
});

test('beats that came late themselves hold nothing against a thread', () => {
  const pulse = new Pulse(() => {});
  for (let beats = 0; beats < 100; beats += 1) pulse.beat(false);
  expect(pulse.isHung).toBe(false);
});

test('a thread that has to load its program first gets more time', () => {
  const pulse = new Pulse(() => {});
  for (let beats = 0; beats < 15; beats += 1) pulse.beat(true);
  expect(pulse.isHung).toBe(false);
  pulse.beat(true);
  expect(pulse.isHung).toBe(true);
});

function createCheck(watched: readonly Watched[], watchdogMs: number | null = null) {
  let pings = 0;
  const watchdog = () => {
    pings += 1;
  };
  const manager = { watchdogMs, watchdog };
  const check = new HealthCheck({ watched: () => watched, manager, intervalMs: 1000 });
  cleanups.push(() => check.close());
  return { check, pings: () => pings };
}

test('after a time in which rouse itself did not run nothing counts as unanswered', () => {
  const counted: boolean[] = [];
  const process = { isHung: false, beat: (counts: boolean) => void counted.push(counts) };
  const { check } = createCheck([process]);
  const startMs = performance.now();
  for (const afterMs of [1000, 2010, 3600_000, 3601_000, 3603_000]) check.beat(startMs + afterMs);
  expect(counted).toEqual([true, true, false, true, false]);
});

test('the service manager hears that all is well only while nothing hangs', () => {
  const gateways = [1, 2].map(() => ({ isHung: false, beat: () => {} }));
  const { check, pings } = createCheck(gateways);
  check.reassure();
  expect(pings()).toBe(1);
  (gateways[1] as { isHung: boolean }).isHung = true;
  check.reassure();
  expect(pings()).toBe(1);
});

test('a watchdog is reassured again and again, without being asked', async () => {
  const { pings } = createCheck([], 2);
  await waitFor(() => pings() >= 3);
});
