import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import { listenersOf, RunningRouse, serviceOf, titled, whyNoIsolation } from './root-support.js';

const CONFIG = {
  listeners: listenersOf({ web: 'http', slow: 'tcp', notify: 'tcp', extends: 'tcp', late: 'tcp' }),
  services: {
    slow: serviceOf(['slow-starter.js', 3000, 300], { routes: [{ listener: 'slow' }] }),
    notify: serviceOf(['notify-server.pl', 3000, 300], {
      routes: [{ listener: 'notify' }],
      ready: 'notify',
    }),
    // Three times 300 ms: only with the extensions it is ready in time.
    extends: serviceOf(['notify-extends.pl', 3000, 3, 300], {
      routes: [{ listener: 'extends' }],
      ready: 'notify',
      start_timeout: '500ms',
      limits: { held_age: '20s' },
    }),
    patient: serviceOf(['notify-server.pl', 3000, 60_000], { ready: 'notify' }),
    late: serviceOf(['notify-server.pl', 3000, 60_000], {
      routes: [{ listener: 'late' }],
      ready: 'notify',
      start_timeout: '400ms',
    }),
    http: serviceOf(['ready-later.js', 3000, 3], {
      routes: [{ host: 'http' }],
      ready: { http: '/health?deep=1' },
    }),
    never: serviceOf(['ready-later.js', 3000, 1_000_000], {
      routes: [{ host: 'never' }],
      ready: { http: '/' },
      start_timeout: '500ms',
    }),
  },
};

describe.skipIf(whyNoIsolation !== null)(titled('a service counts as ready'), () => {
  let running: RunningRouse;
  beforeAll(async () => {
    running = await RunningRouse.start(CONFIG);
  });
  afterAll(() => running?.rouse.close());

  const connect = async (listener: string) =>
    RawClient.connect({ port: await running.port(listener) });

  test('connect: as soon as it takes connections; the client waits until then', async () => {
    await using client = await connect('slow');
    await client.readText('awake at last\n');
  });

  test('notify: not when it listens but when it says READY=1', async () => {
    await using client = await connect('notify');
    await client.readText('ready\n');
    await running.rouse.wake('patient', { wait: false });
    await waitFor(async () =>
      (await running.rouse.explain('patient')).lastOutput.includes('listening on 3000'),
    );
    expect(await running.service('patient')).toMatchObject({ state: 'starting' });
  });

  test('notify: EXTEND_TIMEOUT_USEC makes start_timeout longer', async () => {
    await using client = await connect('extends');
    await client.readText('ready\n');
    expect(await running.service('extends')).toMatchObject({ state: 'running', failures: 0 });
  });

  test('notify: who never says it is given up', async () => {
    await using client = await connect('late');
    expect((await client.readToEnd()).toString()).toBe('');
    await running.untilState('late', 'failed');
    expect((await running.service('late')).failure?.reason).toMatch(/^not ready within 0\.4 s/);
  });

  test('http: when the path answers 2xx; no client sees what it said before', async () => {
    const { status, body } = await get(await running.port('web'), '/', { host: 'http' });
    expect([status, body]).toEqual([200, 'asked 5 times\n']);
    const { lastOutput } = await running.rouse.explain('http');
    expect(lastOutput.slice(1, 5)).toEqual([
      'GET /health?deep=1 http 503',
      'GET /health?deep=1 http 503',
      'GET /health?deep=1 http 503',
      'GET /health?deep=1 http 200',
    ]);
  });

  test('http: who only answers with errors is given up, with the last answer in the reason', async () => {
    const { status } = await get(await running.port('web'), '/', { host: 'never' });
    expect(status).toBe(503);
    await running.untilState('never', 'failed');
    const { failure } = await running.service('never');
    expect(failure?.reason).toBe('not ready within 0.5 s (last answer: 503)');
  });
});
