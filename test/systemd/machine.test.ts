import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seeProcess } from '../support/processes.js';
import { GUEST_FIXTURES, Machine, titled, whyNoSystemd } from './machine.js';

/** What of this test's machines is on the host: cgroups, directories, mounts. */
function listTraces(): string[] {
  const name = `rouse-test-${process.pid}-`;
  const places = ['/run/systemd/nspawn', '/sys/fs/cgroup', '/tmp'].filter(existsSync);
  const files = places.flatMap((place) =>
    readdirSync(place, { recursive: place !== '/tmp', encoding: 'utf8' }).map((path) =>
      join(place, path),
    ),
  );
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return [...files, ...mounts].filter((text) => text.includes(name) || text.includes('nspawn'));
}

test.skipIf(whyNoSystemd !== null)(
  titled('a machine has a systemd, node and rouse, and leaves nothing behind'),
  async () => {
    const before = listTraces();
    const machine = await Machine.boot();
    const { leader } = machine;
    expect((await machine.run('ps -o comm= -p 1')).stdout).toBe('systemd\n');
    expect(await machine.check('rouse --version')).toMatch(/^rouse \d+\.\d+/);
    expect(await machine.check('node --version')).toBe(`${process.version}\n`);
    expect(await machine.check(`${GUEST_FIXTURES}/prints-environment.sh`)).toContain('HOME=/root');
    await machine.write('/etc/rouse/rouse.yaml', { listeners: {} });
    expect(await machine.check('cat /etc/rouse/rouse.yaml')).toBe('{\n  "listeners": {}\n}');
    await expect(machine.check('echo out; echo fault >&2; false')).rejects.toThrow('fault');
    expect(await machine.property('basic.target', 'ActiveState')).toBe('active');
    expect(listTraces()).not.toEqual(before);
    await machine[Symbol.asyncDispose]();
    expect(seeProcess(leader)).toBe(null);
    expect(listTraces()).toEqual(before);
  },
);
