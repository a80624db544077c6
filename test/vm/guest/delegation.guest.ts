import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { AdminClient } from '../../../src/admin/client.js';
import { PROGRAM } from '../../app/program.js';
import { listenersOf, serviceOf } from '../../root/root-support.js';
import { runToEnd } from '../../support/run-process.js';

const CGROUPS = '/sys/fs/cgroup';
const LIMITED = {
  listeners: listenersOf({ lines: 'tcp' }),
  services: {
    limited: serviceOf(['limits-tester.pl', 3000], {
      routes: [{ listener: 'lines' }],
      resources: { memory: '200M', cpu: '90%', tasks: 30 },
    }),
  },
};

const started: string[] = [];
afterEach(async () => {
  for (const unit of started.splice(0)) await runToEnd(['systemctl', 'stop', unit]);
});

/** A directory with the configuration, and the command that serves it. */
function makePlace() {
  const directory = mkdtempSync('/run/delegation-');
  writeFileSync(join(directory, 'rouse.yaml'), JSON.stringify(LIMITED));
  const runtimeDir = join(directory, 'run');
  const place = ['-c', join(directory, 'rouse.yaml'), '--runtime-dir', runtimeDir];
  const flags = ['--state-dir', join(directory, 'state'), '--log-format', 'json'];
  const command = [process.execPath, PROGRAM, 'serve', ...place, ...flags];
  return { directory, command, admin: new AdminClient(join(runtimeDir, 'admin.sock')) };
}

/** rouse as a service of this machine's systemd; resolves when that says that it runs, or failed. */
async function startUnit(properties: readonly string[]) {
  const { directory, command, admin } = makePlace();
  const unit = `rouse-test-${started.length}-${process.pid}.service`;
  started.push(unit);
  // Without what a whole system starts first.
  const base = ['Type=notify', 'DefaultDependencies=no', 'FileDescriptorStoreMax=100'];
  const options = [...base, `StandardError=file:${directory}/log`, ...properties];
  const end = await runToEnd([
    ...['systemd-run', '--quiet', `--unit=${unit}`, ...options.flatMap((each) => ['-p', each])],
    ...command,
  ]);
  const log = () => readFileSync(join(directory, 'log'), 'utf8');
  return { unit, end, admin, cgroup: join(CGROUPS, 'system.slice', unit), log };
}

const cgroupOf = (pid: number | null) =>
  /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';

test('as a unit with Delegate=yes rouse holds every limit, from a leaf of the unit’s cgroup, and leaves nothing there', async () => {
  const { end, admin, cgroup, unit } = await startUnit(['Delegate=yes']);
  expect(end.stderr).toBe('');
  await admin.wake('limited', { wait: true });
  const { services, supervisor } = await admin.status();
  const own = `/system.slice/${unit}/rouse-${supervisor.pid}.`;
  expect(cgroupOf(supervisor.pid)).toMatch(new RegExp(`^${own}\\d+/supervisor$`));
  const service = cgroupOf(services[0]?.pid ?? null);
  expect(service).toMatch(new RegExp(`^${own}\\d+/service-limited\\.\\d+/run$`));
  const file = (name: string) => readFileSync(join(CGROUPS, service, '..', name), 'utf8').trim();
  expect(file('memory.max')).toBe(String(200 * 1024 * 1024));
  expect(file('cpu.max')).toBe('90000 100000');
  expect(Number(file('pids.max'))).toBeGreaterThanOrEqual(30);
  expect(readFileSync(join(cgroup, 'cgroup.procs'), 'utf8')).toBe('');
  expect(await runToEnd(['systemctl', 'stop', unit])).toMatchObject({ code: 0, stderr: '' });
  const { stdout } = await runToEnd(['systemctl', 'show', unit, '-P', 'Result']);
  expect(stdout.trim()).toBe('success');
  const left = readdirSync(join(CGROUPS, 'system.slice'), { recursive: true, encoding: 'utf8' });
  expect(left.filter((path) => path.includes('rouse-'))).toEqual([]);
});

test('as a unit without Delegate= it does not start with limits, and says what to do', async () => {
  const { end, log } = await startUnit([]);
  expect(end.code).not.toBe(0);
  expect(log()).toMatch(
    /service limited: resources\.\w+ cannot be enforced here: .*Delegate=yes.*; or set enforce: best-effort/,
  );
});

test('next to somebody else’s processes it takes no controllers, and says so', async () => {
  const shared = join(CGROUPS, 'shared');
  mkdirSync(shared);
  const { command } = makePlace();
  const script = 'echo 0 >"$0/cgroup.procs"; "$@"; exit';
  const { stderr } = await runToEnd(['sh', '-c', script, shared, ...command]);
  expect(stderr).toMatch(/resources\.\w+ cannot be enforced here: .* has other processes/);
  expect(readFileSync(join(shared, 'cgroup.subtree_control'), 'utf8').trim()).toBe('');
});
