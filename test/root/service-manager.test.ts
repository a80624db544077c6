import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startFixture } from '../support/fixture.js';
import { get } from '../support/http-client.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { helloService, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';

const CONFIG = {
  listeners: { web: { address: '127.0.0.1:0', protocol: 'http' } },
  services: {
    web: helloService('web'),
    // Not ready when it says so to a socket that isn't its own.
    asleep: serviceOf(['notify-server.pl', 3000], {
      routes: [{ listener: 'web', host: 'notify' }],
    }),
  },
};

async function bindManager(directory: string) {
  const path = join(directory, 'notify.sock');
  const manager = startFixture('prints-datagrams.pl', [path]);
  await manager.waitForOutput(/bound/);
  return { manager, environment: { NOTIFY_SOCKET: path } };
}

describe.skipIf(whyNoIsolation !== null)(titled('the service manager'), () => {
  test('hears that every listener takes connections, how services are, of reloads, and of the end', async () => {
    using directory = makeTemporaryDirectory();
    const { manager, environment } = await bindManager(directory.path);
    await using _ends = manager;
    await using rouse = await ServedRouse.start(CONFIG, { environment });
    await manager.waitForOutput(/^got STATUS=2 services, 0 awake\ngot READY=1$/m);
    expect((await get(await rouse.port('web'), '/')).status).toBe(200);
    await rouse.admin.wake('asleep', { wait: true });
    await manager.waitForOutput(/^got STATUS=2 services, 2 awake$/m);

    const { web } = CONFIG.services;
    rouse.writeConfig({ ...CONFIG, services: { web } });
    rouse.process.signal('SIGHUP');
    const reload = /^got RELOADING=1 MONOTONIC_USEC=\d+\n(got STATUS=.*\n)*got READY=1$/m;
    await manager.waitForOutput(reload);
    await manager.waitForOutput(/^got STATUS=1 service, 1 awake$/m);
    rouse.writeConfig({ ...CONFIG, services: { web: { ...web, upstream: 'nowhere' } } });
    expect((await rouse.command('reload')).code).toBe(1);
    await manager.waitForOutput(
      /1 awake; the last reload was refused: .*rouse.yaml:.*\ngot READY=1$/m,
    );

    rouse.process.signal('SIGTERM');
    expect((await rouse.process.ended).code).toBe(0);
    await manager.waitForOutput(/^got STOPPING=1$/m);
    expect(manager.output.match(/READY=1/g)).toHaveLength(3);
    expect(manager.output).not.toContain('WATCHDOG');
  });

  test('that watches rouse hears again and again that all is well', async () => {
    using directory = makeTemporaryDirectory();
    const { manager, environment } = await bindManager(directory.path);
    await using _ends = manager;
    const watched = { ...environment, WATCHDOG_USEC: '100000' };
    await using _rouse = await ServedRouse.start(CONFIG, { environment: watched });
    await manager.waitForOutput(/(got WATCHDOG=1\n(.*\n)*){5}/);
  });
});
