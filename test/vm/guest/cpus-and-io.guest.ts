import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { listenersOf, RunningRouse, serviceOf } from '../../root/root-support.js';
import { RawClient } from '../../support/raw-client.js';

const CGROUPS = '/sys/fs/cgroup';
/** major:minor of the disk. */
const DISK = readFileSync('/sys/block/vda/dev', 'utf8').trim();

const configWith = (settings: object) => ({
  listeners: listenersOf({ lines: 'tcp' }),
  services: {
    tester: serviceOf(['limits-tester.pl', 3000], {
      routes: [{ listener: 'lines' }],
      ...settings,
    }),
  },
});

test('a service with CPUs of its own runs on no other, whatever it tries, by cpuset', async () => {
  await using running = await RunningRouse.start(configWith({ cpus: [1] }));
  await using client = await RawClient.connect({ port: await running.port('lines') });
  await client.send('widen\n');
  expect(await client.readText('\n')).toBe('1\n');
  expect((await running.rouse.explain('tester')).isolation).toContainEqual({
    ...{ kind: 'physical', what: 'CPU 1', by: 'cpuset.cpus of its cgroup' },
  });
});

describe('io weights', () => {
  const switchCost = (enable: 0 | 1) =>
    writeFileSync(join(CGROUPS, 'io.cost.qos'), `${DISK} enable=${enable}`);
  afterEach(() => switchCost(0));

  test('are refused by name where no disk goes by them', async () => {
    const refused = RunningRouse.start(configWith({ resources: { io: 500 } }));
    await expect(refused).rejects.toThrow(
      /resources\.io cannot be enforced here: no disk here goes by weights; .*io\.cost\.qos/,
    );
  });

  test('are the cgroup’s where a disk does, and change while it runs', async () => {
    switchCost(1);
    await using running = await RunningRouse.start(configWith({ resources: { io: 500 } }));
    const { pid } = await running.rouse.wake('tester');
    const [, path = ''] = /^0::(.*)\/run$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? [];
    const weight = () => readFileSync(join(CGROUPS, path, 'io.weight'), 'utf8').trim();
    expect(weight()).toBe('default 500');
    await running.rouse.set('tester', { io: '50' });
    expect(weight()).toBe('default 50');
  });
});
