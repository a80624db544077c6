import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.js';
import { GUEST_FIXTURES, Machine, titled, whyNoSystemd } from './machine.js';

const CONFIG = '/etc/rouse/rouse.yaml';
const UNIT_CGROUP = '/sys/fs/cgroup/system.slice/rouse.service';

/** The HTTP server of the fixtures, by host name. */
const hello = (host: string, settings: object = {}) => ({
  routes: [{ host }],
  run: { command: ['./http-hello.js', '3000'], directory: GUEST_FIXTURES },
  upstream: 'tcp:3000',
  ...settings,
});

const configOf = (services: object, listeners: object = {}) => ({
  enforce: 'required',
  listeners: { web: { address: '127.0.0.1:8080', protocol: 'http' }, ...listeners },
  services,
});

describe.skipIf(whyNoSystemd !== null)(titled('rouse.service'), { timeout: 60_000 }, () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await Machine.boot();
  });
  afterAll(() => machine?.[Symbol.asyncDispose]());
  afterEach(() => machine.run('systemctl stop rouse rouse@edge'));

  const start = async (config: object) => {
    await machine.write(CONFIG, config);
    await machine.check('systemctl start rouse');
  };
  const get = (host: string, url = 'http://127.0.0.1:8080/') =>
    machine.curl(`-H 'Host: ${host}' ${url}`);
  const mainPid = () => machine.property('rouse', 'MainPID');
  /** `pid command` of every process below the unit. */
  const processes = () =>
    machine.check(`find ${UNIT_CGROUP} -name cgroup.procs -exec cat {} + | sort -n`);

  test('is active when every listener takes connections', async () => {
    const listeners = {
      inner: { address: 'unix:/run/rouse/inner.sock', protocol: 'http' },
      other: { address: '[::1]:8081', protocol: 'http' },
    };
    await start(configOf({ one: hello('one') }, listeners));
    expect(await machine.property('rouse', 'ActiveState')).toBe('active');
    expect(await get('one')).toContain('hello');
    expect(await get('one', '--unix-socket /run/rouse/inner.sock http://one/')).toContain('hello');
    expect(await get('one', 'http://[::1]:8081/')).toContain('hello');
  });

  test('shows in its status what is awake', async () => {
    await start(configOf({ one: hello('one'), two: hello('two') }));
    expect(await machine.check('systemctl status rouse')).toContain('"2 services, 0 awake"');
    await get('one');
    await waitFor(async () => (await machine.property('rouse', 'StatusText')).includes('1 awake'));
  });

  test('is not active when a listener cannot be bound, says why, and comes up when it can', async () => {
    await machine.check(
      `systemd-run -q --unit=squatter --service-type=exec ${GUEST_FIXTURES}/http-hello.js 8080`,
    );
    await machine.write(CONFIG, configOf({ one: hello('one') }));
    const { code } = await machine.run('systemctl start rouse');
    expect(code).toBe(1);
    expect(await machine.journal('rouse')).toContain(
      'listener web: cannot bind 127.0.0.1:8080: address already in use',
    );
    await machine.check('systemctl stop squatter');
    await waitFor(async () => (await machine.property('rouse', 'ActiveState')) === 'active');
    expect(await get('one')).toContain('hello');
  });

  test('takes up a changed configuration on reload, and goes on serving', async () => {
    await start(configOf({ one: hello('one') }));
    const before = [await mainPid(), await get('one')];
    await machine.write(CONFIG, configOf({ one: hello('one'), two: hello('two') }));
    await machine.check('systemctl reload rouse');
    expect(await get('two')).toContain('hello');
    expect([await mainPid(), await get('one')]).toEqual(before);
  });

  test('changes nothing for a wrong configuration: reload fails, and the journal says where it is wrong', async () => {
    await start(configOf({ one: hello('one') }));
    const before = [await mainPid(), await get('one')];
    await machine.write(
      CONFIG,
      'listeners:\n  web: { address: "127.0.0.1:8080", protocol: htp }\n',
    );
    expect((await machine.run('systemctl reload rouse')).code).not.toBe(0);
    expect(await machine.journal('rouse')).toMatch(/rouse\.yaml:2:\d+: listeners\.web\.protocol/);
    expect(await machine.property('rouse', 'ActiveState')).toBe('active');
    expect([await mainPid(), await get('one')]).toEqual(before);
  });

  test('keeps its services in cgroups below its own, and freezes them there', async () => {
    await start(configOf({ one: hello('one') }));
    await get('one');
    await machine.check('rouse freeze one');
    const frozen = await machine.check(
      `grep -lR 'frozen 1' ${UNIT_CGROUP} --include=cgroup.events`,
    );
    expect(frozen).toMatch(/rouse-[\d.]+\/service-one\.\d+\//);
    expect(await get('one')).toContain('hello');
  });

  test('leaves nothing when it is stopped: no process, cgroup, mount, directory or socket', async () => {
    const traces = () =>
      machine.check(
        `ps -eo args | grep -v '^ps' | sort; findmnt -n -o TARGET,FSTYPE; ls /run /tmp; ss -Hltnx | sort; find /sys/fs/cgroup -type d | grep rouse; true`,
      );
    const before = await traces();
    const listeners = { inner: { address: 'unix:/run/rouse/inner.sock', protocol: 'http' } };
    await start(configOf({ one: hello('one'), two: hello('two') }, listeners));
    await get('one');
    expect(await traces()).not.toBe(before);
    await machine.check('systemctl stop rouse');
    expect(await machine.property('rouse', 'Result')).toBe('success');
    expect(await traces()).toBe(before);
  });

  test('that is killed takes its services with it, is started again, and serves who came meanwhile', async () => {
    await start(configOf({ one: hello('one', { idle: 'never' }) }));
    await get('one');
    const [oldMain, oldProcesses] = [await mainPid(), await processes()];
    const answer = await machine.check(
      `kill -KILL ${oldMain} && curl -sS --fail-with-body --max-time 20 -H 'Host: one' http://127.0.0.1:8080/`,
    );
    expect(answer).toContain('hello');
    await waitFor(async () => (await machine.property('rouse', 'ActiveState')) === 'active');
    expect(await machine.property('rouse', 'NRestarts')).toBe('1');
    const left = (await processes()).split('\n').filter((pid) => oldProcesses.includes(pid));
    expect(left.filter(Boolean)).toEqual([]);
    expect(oldProcesses.split('\n')).toContain(oldMain);
  });

  test('comes back after a crash with more addresses than systemd can keep sockets for', async () => {
    const many = { address: '127.0.0.1:20000-23599', protocol: 'http' };
    await start(configOf({ one: hello('one') }, { many }));
    expect(await get('one', 'http://127.0.0.1:23599/')).toContain('hello');
    expect(await machine.journal('rouse')).toContain('do not outlive a restart or a crash');
    await machine.check('systemctl kill --kill-whom=main --signal=KILL rouse');
    await waitFor(async () => (await machine.property('rouse', 'NRestarts')) === '1');
    await waitFor(async () => (await machine.property('rouse', 'ActiveState')) === 'active');
    expect(await get('one', 'http://127.0.0.1:20000/')).toContain('hello');
    expect(await get('one', 'http://127.0.0.1:23599/')).toContain('hello');
  });

  test('runs beside others: each has its directories, and none a user of the other’s services', async () => {
    const stdio = (listener: string) => ({
      routes: [{ listener }],
      run: { command: ['id', '-u'] },
      upstream: 'stdio',
    });
    const instance = (address: string) => ({
      enforce: 'required',
      listeners: { tcp: { address, protocol: 'tcp' } },
      services: { same: stdio('tcp') },
    });
    await start(instance('127.0.0.1:7000'));
    await machine.write('/etc/rouse/edge.yaml', instance('127.0.0.1:7001'));
    await machine.check('systemctl start rouse@edge');
    const users = await Promise.all(
      [7000, 7001].map((port) => machine.check(`curl -s telnet://127.0.0.1:${port} </dev/null`)),
    );
    expect(users.map(Number).every((user) => user > 1000)).toBe(true);
    expect(users[0]).not.toBe(users[1]);
    expect(await machine.check('rouse status --runtime-dir /run/rouse-edge')).toContain('same');
    await machine.check('systemctl reload rouse@edge && systemctl stop rouse');
    expect(await machine.check('ls -d /run/rouse* /var/lib/rouse*')).toBe(
      '/run/rouse-edge\n/var/lib/rouse\n/var/lib/rouse-edge\n',
    );
    expect(await machine.check('curl -s telnet://127.0.0.1:7001 </dev/null')).toBe(users[1]);
  });
});
