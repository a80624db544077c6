import { describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import {
  helloService,
  listenersOf,
  RunningRouse,
  serviceOf,
  titled,
  whyNoIsolation,
} from './root-support.js';

const asks = (address: string) => ({
  run: {
    command: [
      'perl',
      '-MIO::Socket::INET',
      '-e',
      `my $s = IO::Socket::INET->new("${address}") or do { print "none: $!"; exit }; print <$s>`,
    ],
  },
  upstream: 'stdio',
});

const CONFIG = {
  listeners: listenersOf({ front: 'tcp', stranger: 'tcp', web: 'http' }),
  services: {
    front: {
      ...asks('127.0.0.1:5432'),
      routes: [{ listener: 'front' }],
      reach: { back: '127.0.0.1:5432' },
    },
    // Has no `reach`.
    stranger: { ...asks('127.0.0.1:5432'), routes: [{ listener: 'stranger' }] },
    back: serviceOf(['slow-starter.js', 3000, 100], {
      idle: { stop: '200ms' },
      limits: { connections: 20 },
    }),
    web: helloService('web', { reach: { back: '127.0.0.9:80' } }),
  },
};

describe.skipIf(whyNoIsolation !== null)(titled('reach'), () => {
  const askThrough = async (running: RunningRouse, listener: string) => {
    await using client = await RawClient.connect({ port: await running.port(listener) });
    return (await client.readToEnd()).toString();
  };

  test('a service that calls another one wakes it, again and again', async () => {
    await using running = await RunningRouse.start(CONFIG);
    for (let round = 1; round <= 2; round += 1) {
      expect(await askThrough(running, 'front')).toBe('awake at last\n');
      expect(await running.service('back')).toMatchObject({ starts: round });
      await running.untilState('back', 'stopped', round);
    }
    const { lastWake } = await running.service('back');
    expect(lastWake).toMatchObject({ cause: 'connection' });
    const together = Array.from({ length: 10 }, () => askThrough(running, 'front'));
    expect(new Set(await Promise.all(together))).toEqual(new Set(['awake at last\n']));
    expect(await running.service('back')).toMatchObject({ starts: 3 });
  });

  test('who does not have it in its config reaches nothing, and wakes nobody', async () => {
    await using running = await RunningRouse.start(CONFIG);
    expect(await askThrough(running, 'stranger')).toBe('none: Connection refused');
    expect(await running.service('back')).toMatchObject({ starts: 0 });
  });

  test('it still works when the gateway was replaced, and after a reload', async () => {
    await using running = await RunningRouse.start(CONFIG);
    expect((await get(await running.port('web'), '/')).status).toBe(200);
    const [gateway] = (await running.rouse.status()).gateways;
    process.kill(gateway?.pid ?? 0, 'SIGKILL');
    expect(await askThrough(running, 'front')).toBe('awake at last\n');
    const { services } = CONFIG;
    await running.rouse.reload({
      enforce: 'required',
      ...CONFIG,
      services: { ...services, web: helloService('web') },
    });
    expect(await askThrough(running, 'front')).toBe('awake at last\n');
  });
});
