import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { listDescendants } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { listenersOf, RunningRouse, serviceOf, titled, whyNoIsolation } from './root-support.js';

const PRINTED = ['reading the settings', 'cannot open database: no such file', 'giving up'];

const onWeb = (host: string) => ({ routes: [{ host }] });

const CONFIG = {
  listeners: listenersOf({ web: 'http', db: 'tcp' }),
  services: {
    exits: serviceOf(['exits-at-once.js', 3], onWeb('exits')),
    wakes: serviceOf(['exits-at-once.js', 5], onWeb('wakes')),
    silent: serviceOf(['never-listens.js'], { ...onWeb('silent'), start_timeout: '400ms' }),
    held: serviceOf(['never-listens.js'], {
      ...onWeb('held'),
      start_timeout: '20s',
      limits: { held: 2, held_age: '300ms' },
    }),
    raw: serviceOf(['exits-at-once.js', 0], { routes: [{ listener: 'db' }] }),
  },
};

describe.skipIf(whyNoIsolation !== null)(titled('a service that does not start'), () => {
  let running: RunningRouse;
  let port: number;
  beforeAll(async () => {
    running = await RunningRouse.start(CONFIG);
    port = await running.port('web');
  });
  afterAll(() => running?.rouse.close());

  const ask = (host: string) => get(port, '/', { host });

  test('who exits at once: 503 now, and status and explain tell how and what it printed', async () => {
    const answer = await ask('exits');
    expect(answer.status).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.body).not.toContain('database');
    const status = await running.service('exits');
    expect(status).toMatchObject({
      state: 'failed',
      pid: null,
      lastExit: { code: 3, signal: null },
      failure: {
        reason: 'exited with code 3 before it was ready',
        output: PRINTED,
        retryAt: expect.stringMatching(/^\d{4}-.*Z$/),
      },
    });
    const { why, lastOutput } = await running.rouse.explain('exits');
    expect(why.join(' ')).toContain('exited with code 3');
    expect(lastOutput).toEqual(PRINTED);
    const failure = running.log.find((line) => line.includes('"event":"exit"'));
    expect(failure).toContain('giving up');
  });

  test('until the backoff is over demands are refused at once, without another start', async () => {
    const failing = async () => (await running.service('exits')).starts;
    await waitFor(async () => {
      await ask('exits');
      return (await failing()) >= 4;
    });
    const starts = await failing();
    const answers = await Promise.all([ask('exits'), ask('exits'), ask('exits')]);
    for (const { status, headers, body } of answers) {
      expect(status).toBe(503);
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
      expect(body).toContain('will be tried again shortly');
    }
    expect(await failing()).toBe(starts);
    expect((await running.rouse.explain('exits')).refusals).toMatchObject({
      backoff: expect.any(Number),
      'start-failed': expect.any(Number),
    });
  });

  test('wake overrides the backoff, and tells why it failed again', async () => {
    for (let start = 1; start <= 3; start += 1) {
      await expect(running.rouse.wake('wakes')).rejects.toMatchObject({
        code: 'start',
        message: 'wakes: exited with code 5 before it was ready',
      });
      expect(await running.service('wakes')).toMatchObject({ starts: start, failures: start });
    }
  });

  test('who never listens is given up after start_timeout, and nothing of it is left', async () => {
    const answer = await ask('silent');
    expect(answer.status).toBe(503);
    await running.untilState('silent', 'failed');
    expect(await running.service('silent')).toMatchObject({
      state: 'failed',
      failure: {
        reason: expect.stringMatching(/^not ready within 0\.4 s \(last try: ECONNREFUSED\)$/),
        output: ['thinking about it'],
      },
    });
    await waitFor(
      () => !listDescendants(running.rouse.pid).some(({ name }) => name.includes('never-listens')),
      { what: 'its processes to be gone' },
    );
  });

  test('clients beyond limits.held are refused at once, the others after limits.held_age', async () => {
    const answers = await Promise.all([ask('held'), ask('held'), ask('held')]);
    const bodies = answers.map(({ status, body }) => `${status} ${body.trim()}`).sort();
    expect(bodies).toEqual([
      expect.stringContaining('503 The service took too long to start.'),
      expect.stringContaining('503 The service took too long to start.'),
      expect.stringContaining('503 Too many clients already wait'),
    ]);
    const status = await running.service('held');
    expect(status).toMatchObject({ state: 'starting', held: 0, connections: 0 });
    expect((await running.rouse.explain('held')).refusals).toEqual({
      'held-age': 2,
      'held-limit': 1,
    });
    expect((await running.rouse.sleep('held', { force: true })).state).toBe('stopped');
  });

  test('a TCP client of a service that exits is closed, not left hanging', async () => {
    await using client = await RawClient.connect({ port: await running.port('db') });
    expect((await client.readToEnd()).toString()).toBe('');
    expect(await running.service('raw')).toMatchObject({
      state: 'failed',
      lastExit: { code: 0 },
    });
  });
});

test.skipIf(whyNoIsolation !== null)(
  titled('a program that is gone, or that the kernel does not execute, is a failure by name'),
  async () => {
    using directory = makeTemporaryDirectory();
    const write = (name: string, text: string) =>
      writeFileSync(join(directory.path, name), text, { mode: 0o755 });
    write('gone', '#!/bin/sh\n');
    write('garbage', 'neither a script nor a program\n');
    write('orphan', '#!/no/such/interpreter\n');
    const service = (name: string) => ({
      run: { command: [`./${name}`], directory: directory.path },
      upstream: 'tcp:3000',
    });
    const names = ['gone', 'garbage', 'orphan'];
    await using running = await RunningRouse.start({
      services: Object.fromEntries(names.map((name) => [name, service(name)])),
    });
    rmSync(join(directory.path, 'gone'));
    await expect(running.rouse.wake('gone')).rejects.toThrow(/^gone: .*no such program/);
    await expect(running.rouse.wake('garbage')).rejects.toThrow(/^garbage: start .*: ENOEXEC$/);
    await expect(running.rouse.wake('orphan')).rejects.toThrow(/^orphan: start .*: ENOENT$/);
  },
);
