import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { isRunning, listDescendants } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { helloService, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';

const SERVICES = {
  hello: helloService('web', { idle: 'never' }),
  daemon: serviceOf(['daemonizing-server.pl', 3000], { routes: [{ listener: 'db' }] }),
  frozen: serviceOf(['http-hello.js', 3000], { idle: { freeze: '50ms' } }),
  lines: serviceOf(['cat-lines.sh'], { routes: [{ listener: 'lines' }], upstream: 'stdio' }),
  sleeper: helloService('web', { routes: [{ host: 'sleeper' }] }),
};

/** Of this test run alone, so that the next start finds the same ports free. */
const HOST = `127.86.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`;
const WEB = 8080;
const DB = 5432;
const LINES = 7;

const CONFIG = {
  listeners: {
    web: { address: `${HOST}:${WEB}`, protocol: 'http' },
    db: { address: `${HOST}:${DB}`, protocol: 'tcp' },
    lines: { address: `${HOST}:${LINES}`, protocol: 'tcp' },
  },
  services: SERVICES,
};

/** Wakes everything, in every way in which a service can be awake. */
async function wakeAll(rouse: ServedRouse) {
  expect((await get(WEB, '/one', { address: HOST })).status).toBe(200);
  await using daemon = await RawClient.connect({ host: HOST, port: DB });
  const [, pid] = /pid (\d+)/.exec((await daemon.readToEnd()).toString()) ?? [];
  expect(Number(pid)).toBeGreaterThan(0);
  const client = await RawClient.connect({ host: HOST, port: LINES });
  await client.send('hello\n');
  await client.readText('1 hello');
  await rouse.admin.wake('frozen', { wait: true });
  await waitFor(async () =>
    (await rouse.status()).services.some(
      ({ name, state }) => name === 'frozen' && state === 'frozen',
    ),
  );
  return client;
}

describe.skipIf(whyNoIsolation !== null)(titled('a supervisor that is killed'), () => {
  test('takes everything of it along, and the next one serves on the same ports at once', async () => {
    using directory = makeTemporaryDirectory();
    for (let life = 1; life <= 2; life += 1) {
      const rouse = await ServedRouse.start(CONFIG, { directory: directory.path });
      await using client = await wakeAll(rouse);
      const processes = listDescendants(rouse.pid);
      const names = new Set(processes.map(({ name }) => name));
      expect([...names]).toEqual(
        expect.arrayContaining(['bwrap', 'cat-lines.sh', 'daemonizing-ser']),
      );
      rouse.process.signal('SIGKILL');
      // No pause: what the dead one left must not be in the way.
      await using next = await ServedRouse.start(CONFIG, { directory: directory.path });
      expect((await get(WEB, '/two', { address: HOST })).body).toContain('path /two');
      await waitFor(() => !processes.some(isRunning), {
        what: `the end of ${JSON.stringify(processes.filter(isRunning))}`,
      });
      expect((await client.readToEnd()).toString()).toContain('1 hello');
      expect(next.process.output).not.toMatch(/"level":"(error|fatal)"/);
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(directory.path);
    }
  }, 60_000);
});
