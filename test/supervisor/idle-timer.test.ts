import { expect, test } from 'vitest';
import type { IdleDue } from '../../src/supervisor/idle-clock.js';
import { IdleTimer } from '../../src/supervisor/idle-timer.js';
import { closeFd } from '../../src/sys/descriptors.js';
import { receivePacket, sendPacket } from '../../src/sys/fd-passing.js';
import { watchFd } from '../../src/sys/poller.js';
import { createSocketPair } from '../../src/sys/sockets.js';

const DELAY_MS = 5;

/** Nothing else runs meanwhile: what becomes due and what comes in are there at the same time. */
function block(untilMs: number): void {
  while (performance.now() <= untilMs);
}

/** What a timer did whose time came while a message that cancels it was on its way, or wasn't. */
async function race(isMessageThere: boolean): Promise<string[]> {
  const [ours, theirs] = createSocketPair('seqpacket');
  const did: string[] = [];
  const due = () => ({ event: 'stop-due', atMs: Date.now() + DELAY_MS }) satisfies IdleDue;
  const timer = new IdleTimer(due, (event) => did.push(event));
  const watch = watchFd(ours, { read: true }, () => {
    receivePacket(ours);
    did.push('acquire');
    timer.cancel();
  });
  // From an immediate the loop goes to its timers first, then reads.
  await new Promise<void>((resolve) =>
    setImmediate(() => {
      timer.arm();
      block(performance.now() + 2 * DELAY_MS);
      if (isMessageThere) sendPacket(theirs, Buffer.from('acquire'), []);
      resolve();
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, 2 * DELAY_MS));
  watch.close();
  for (const fd of [ours, theirs]) closeFd(fd);
  return did;
}

test('a service is not put to sleep when somebody asked for it before its time was looked at', async () => {
  for (let round = 0; round < 20; round += 1) expect(await race(true)).toEqual(['acquire']);
});

test('nobody asked: it is', async () => {
  for (let round = 0; round < 20; round += 1) expect(await race(false)).toEqual(['stop-due']);
});
