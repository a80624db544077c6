import { describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { helloService, listenersOf, RunningRouse, titled, whyNoIsolation } from './root-support.js';

const VANDALISM = 'rm "$NOTIFY_SOCKET"; mkdir "$NOTIFY_SOCKET"; touch "$NOTIFY_SOCKET/x"; exit 1';

describe.skipIf(whyNoIsolation !== null)(titled('what a service does to the supervisor'), () => {
  test('a folder in place of its notify socket harms nobody but itself', async () => {
    await using running = await RunningRouse.start({
      listeners: listenersOf({ web: 'http' }),
      services: {
        hello: { ...helloService('web'), routes: [{ host: 'hello' }] },
        vandal: {
          routes: [{ host: 'vandal' }],
          run: { command: ['sh', '-c', VANDALISM] },
          upstream: 'tcp:80',
          ready: 'notify',
        },
      },
    });
    const port = await running.port('web');
    const { pid } = (await running.rouse.status()).supervisor;
    expect((await get(port, '/', { host: 'vandal' })).status).toBe(503);
    await running.rouse.wake('vandal').catch(() => {});
    expect((await get(port, '/', { host: 'hello' })).status).toBe(200);
    expect((await running.rouse.status()).supervisor.pid).toBe(pid);
  });

  test('who lost its route while in use still goes to sleep', async () => {
    const listeners = listenersOf({ web: 'http' });
    const hello = { ...helloService('web'), idle: { stop: '1s' } };
    await using running = await RunningRouse.start({ listeners, services: { hello } });
    expect((await get(await running.port('web'), '/')).status).toBe(200);
    await running.rouse.reload({ listeners, services: { hello: { ...hello, routes: [] } } });
    await running.untilState('hello', 'stopped');
  });
});
