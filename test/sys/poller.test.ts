import { readSync, writeSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { closeFd, createPipe } from '../../src/sys/descriptors.js';
import { type PollEvents, type Watch, watchFd } from '../../src/sys/poller.js';
import { createSocketPair } from '../../src/sys/sockets.js';
import { runToEnd } from '../support/run-process.js';
import { waitFor } from '../support/wait-for.js';

const cleanups: Array<() => void> = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function makePipe() {
  const pipe = createPipe();
  cleanups.push(() => [pipe.readFd, pipe.writeFd].forEach(closeFd));
  return pipe;
}

/** All that a watch has told so far. */
function record(fd: number, events: PollEvents, onReady: (watch: Watch) => void = () => {}) {
  const told: PollEvents[] = [];
  const watch: Watch = watchFd(fd, events, (ready) => {
    told.push(ready);
    onReady(watch);
  });
  cleanups.push(() => watch.close());
  return { watch, told };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('tells when there is something to read, again and again until it is read', async () => {
  const { readFd, writeFd } = makePipe();
  const { told } = record(readFd, { read: true });
  await turn();
  expect(told).toEqual([]);
  writeSync(writeFd, 'x');
  await waitFor(() => told.length >= 3);
  expect(told[0]).toEqual({ read: true, write: false });
  readSync(readFd, Buffer.alloc(1));
  await turn();
  const before = told.length;
  await turn();
  expect(told).toHaveLength(before);
});

test('tells the end of the other side', async () => {
  const [a, b] = createSocketPair('seqpacket');
  cleanups.push(() => closeFd(a));
  const { told } = record(a, { read: true }, (watch) => watch.close());
  closeFd(b);
  await waitFor(() => told.length === 1);
});

test('tells only what is wanted, and what is wanted can change', async () => {
  const [a, b] = createSocketPair('seqpacket');
  cleanups.push(() => [a, b].forEach(closeFd));
  const { watch, told } = record(a, { read: true });
  await turn();
  expect(told).toEqual([]);
  watch.want({ write: true });
  await waitFor(() => told.length > 0);
  expect(told[0]).toEqual({ read: false, write: true });
});

test('a watch that is closed tells nothing more, not even what was on its way', async () => {
  const [first, second] = [makePipe(), makePipe()];
  const told: string[] = [];
  const watches: Watch[] = [];
  // Both are ready in the same turn; whichever comes first closes the other.
  for (const [index, { readFd, writeFd }] of [first, second].entries()) {
    watches.push(
      watchFd(readFd, { read: true }, () => {
        told.push(`pipe ${index}`);
        for (const watch of watches) watch.close();
      }),
    );
    writeSync(writeFd, 'x');
  }
  await waitFor(() => told.length > 0);
  await turn();
  expect(told).toHaveLength(1);
  for (const watch of watches) {
    watch.close();
    watch.want({ read: true });
  }
});

test('a descriptor that cannot be watched is an error', () => {
  const { readFd } = makePipe();
  expect(() => watchFd(100_000, { read: true }, () => {})).toThrow(
    /cannot watch descriptor 100000/,
  );
  expect(readFd).toBeGreaterThan(2);
});

test('a number of a closed descriptor that is used again is watched anew', async () => {
  for (let round = 0; round < 20; round += 1) {
    const { readFd, writeFd } = createPipe();
    let told = 0;
    const watch = watchFd(readFd, { read: true }, () => {
      told += 1;
      watch.close();
    });
    writeSync(writeFd, 'x');
    await waitFor(() => told === 1, { everyMs: 1 });
    closeFd(readFd);
    closeFd(writeFd);
  }
});

test('keepAlive: false lets the process end', async () => {
  const module = (name: string) =>
    JSON.stringify(new URL(`../../dist/sys/${name}`, import.meta.url));
  const script = `
    import { createPipe } from ${module('descriptors.js')};
    import { watchFd } from ${module('poller.js')};
    watchFd(createPipe().readFd, { read: true }, () => {}, { keepAlive: false });
    console.log('watching');`;
  const end = await runToEnd([process.execPath, '--input-type=module', '-e', script]);
  expect(end).toMatchObject({ code: 0, stdout: 'watching\n' });
});
