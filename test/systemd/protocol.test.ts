import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.js';
import { HELLO_CONFIG, Machine, titled, whyNoSystemd } from './machine.js';

const CONFIG = { enforce: 'required', ...HELLO_CONFIG };

/** As the unit is, in less time. */
const IMPATIENT = '[Service]\nWatchdogSec=10s\nTimeoutStopSec=2s\n';

describe.skipIf(whyNoSystemd !== null)(titled('systemd'), { timeout: 120_000 }, () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await Machine.boot();
    await machine.write('/run/systemd/system/rouse.service.d/impatient.conf', IMPATIENT);
    await machine.write('/etc/rouse/rouse.yaml', CONFIG);
    await machine.check('systemctl daemon-reload');
  });
  beforeEach(async () => {
    await machine.check('systemctl restart rouse');
  });
  afterAll(() => machine?.[Symbol.asyncDispose]());

  const get = (path = '/') => machine.curl(`http://127.0.0.1:8080${path}`);
  const status = async () => JSON.parse(await machine.check('rouse status --json'));
  const property = (name: string) => machine.property('rouse', name);
  const mainPid = () => property('MainPID');

  test('hears that all is well for as long as it is, and starts a rouse that hangs anew', async () => {
    for (let heard = 0; heard < 2; heard += 1) {
      const before = await property('WatchdogTimestampMonotonic');
      await waitFor(async () => (await property('WatchdogTimestampMonotonic')) !== before);
    }
    expect(await get()).toContain('hello');
    const pid = await mainPid();
    await machine.check(`kill -STOP ${pid}`);
    await waitFor(async () => !['0', pid].includes(await mainPid()), { timeoutMs: 60_000 });
    expect(await waitFor(() => get())).toContain('hello');
    expect(await machine.journal('rouse')).toMatch(/Watchdog timeout/);
  });

  test('does not notice that a gateway hung: rouse replaces it', async () => {
    const [pid, { gateways }] = [await mainPid(), await status()];
    await machine.check(`kill -STOP ${gateways[0].pid}`);
    await waitFor(async () => (await status()).gateways[0].restarts === 1, { timeoutMs: 60_000 });
    expect(await get()).toContain('hello');
    expect(await mainPid()).toBe(pid);
    expect(await machine.journal('rouse', '-o cat GATEWAY=main EVENT=hung')).toContain(
      'gives no sign of life',
    );
  });

  test('waits for answers that take longer than TimeoutStopSec, and then rouse has ended well', async () => {
    await get();
    const answer = get('/slow/6000');
    await waitFor(async () => (await status()).services[0].requests.inFlight === 1);
    await machine.check('systemctl stop rouse');
    expect(await answer).toContain('path /slow/6000');
    expect(await property('Result')).toBe('success');
    expect(await property('ActiveState')).toBe('inactive');
  });
});
