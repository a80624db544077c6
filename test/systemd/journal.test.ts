import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.js';
import { GUEST_FIXTURES, Machine, titled, whyNoSystemd } from './machine.js';

type Entry = Readonly<Record<string, string>>;

const CONFIG = {
  enforce: 'required',
  log: { access: true },
  listeners: {
    web: { address: '127.0.0.1:8080', protocol: 'http' },
    shell: { address: '127.0.0.1:7000', protocol: 'tcp' },
  },
  services: {
    hello: {
      routes: [{ listener: 'web', host: 'hello' }],
      run: { command: ['./http-hello.js', '3000'], directory: GUEST_FIXTURES },
      upstream: 'tcp:3000',
    },
    talk: {
      routes: [{ listener: 'shell' }],
      run: { command: ['sh', '-c', 'read -r line; eval "$line"'] },
      upstream: 'stdio',
      egress: ['192.0.2.1:443'],
    },
    broken: {
      routes: [{ listener: 'web', host: 'broken' }],
      run: { command: ['sh', '-c', 'echo "<3>no disk" >&2; exit 3'] },
      upstream: 'tcp:3000',
    },
  },
};

describe.skipIf(whyNoSystemd !== null)(titled('the journal'), { timeout: 120_000 }, () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await Machine.boot();
    await machine.write('/etc/rouse/rouse.yaml', CONFIG);
    await machine.check('systemctl start rouse');
  });
  afterAll(() => machine?.[Symbol.asyncDispose]());

  /** Entries of the unit that match, as journalctl finds them. */
  const entries = async (match: string): Promise<Entry[]> => {
    const lines = await machine.journal('rouse', `-o json --all ${match}`);
    return lines.split('\n').flatMap((line) => (line === '' ? [] : JSON.parse(line)));
  };
  const entry = (match: string) => waitFor(async () => (await entries(match)).at(-1));
  const talk = (line: string) =>
    machine.check(`printf '%s\\n' '${line}' | perl -MIO::Socket::INET -e '
      my $s = IO::Socket::INET->new("127.0.0.1:7000") or die; print $s <STDIN>; print <$s>'`);

  test('says who woke which service, on which listener', async () => {
    await machine.curl("-H 'Host: hello' http://127.0.0.1:8080/");
    expect(await entry('SERVICE=hello EVENT=wake')).toMatchObject({
      SERVICE: 'hello',
      LISTENER: 'web',
      SOURCE: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      PRIORITY: '6',
      SYSLOG_IDENTIFIER: 'rouse',
      _SYSTEMD_UNIT: 'rouse.service',
      MESSAGE: expect.stringMatching(/^hello: woken by 127\.0\.0\.1:\d+ on web$/),
      _PID: await machine.property('rouse', 'MainPID'),
    });
  });

  test('has what gateways log, from within their isolation', async () => {
    await machine.curl("-H 'Host: hello' http://127.0.0.1:8080/path");
    const access = await entry('EVENT=access SERVICE=hello TARGET=/path');
    expect(access).toMatchObject({
      ...{ GATEWAY: 'main', COMPONENT: 'gateway', LISTENER: 'web', METHOD: 'GET', STATUS: '200' },
      SOURCE: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      _SYSTEMD_UNIT: 'rouse.service',
    });
    expect(access._PID).not.toBe(await machine.property('rouse', 'MainPID'));
  });

  test('has what services print as their own words, with the importance that they give them', async () => {
    await machine.curl("-H 'Host: hello' http://127.0.0.1:8080/");
    const printed = await entry('SYSLOG_IDENTIFIER=hello');
    expect(printed).toMatchObject({
      SERVICE: 'hello',
      PRIORITY: '6',
      _SYSTEMD_UNIT: 'rouse.service',
    });
    expect(printed.MESSAGE).toContain('listening on');
    expect(printed.SERVICE_PID).toBe((await status('hello')).pid.toString());
    await talk('echo "<4>nearly full" >&2; printf "x\\\\ty\\\\033[2J\\\\n" >&2');
    expect(await entry('SYSLOG_IDENTIFIER=talk PRIORITY=4')).toMatchObject({
      MESSAGE: 'nearly full',
      SERVICE: 'talk',
    });
    expect(await machine.journal('rouse', '-o cat SYSLOG_IDENTIFIER=talk')).toContain('\\x1b[2J');
    expect(await machine.check('rouse logs talk')).toContain('<4>nearly full');
  });

  test('has what services tried to reach outside, and were refused', async () => {
    await talk('curl -s https://198.51.100.1/');
    expect(await entry('COMPONENT=egress SERVICE=talk')).toMatchObject({
      ...{ EVENT: 'egress', VERDICT: 'denied', TARGET: '198.51.100.1:443', PRIORITY: '4' },
      _SYSTEMD_UNIT: 'rouse.service',
    });
  });

  const status = async (service: string) =>
    JSON.parse(await machine.check(`rouse status ${service} --json`)).services[0];

  test('shows what went wrong to those who ask for errors and warnings only', async () => {
    await machine.run("curl -s -H 'Host: broken' http://127.0.0.1:8080/");
    await entry('SERVICE=broken EVENT=exit');
    const found = (await machine.journal('rouse', '-p warning -o cat')).split('\n');
    expect(found).toContainEqual(expect.stringMatching(/^broken: failed: .*code 3/));
    expect(found).toContain('no disk');
    expect(found).not.toContainEqual(expect.stringContaining('woken'));
  });

  test('keeps the entry of a reload of three thousand services, which no datagram takes', async () => {
    const names = Array.from({ length: 3000 }, (_, index) => `${index}-`.padEnd(63, 'x'));
    const sleeping = { run: { command: ['true'] }, upstream: 'tcp:3000' };
    const services = Object.fromEntries(names.map((name) => [name, sleeping]));
    const config = { ...CONFIG, services: { ...CONFIG.services, ...services } };
    await machine.write('/etc/rouse/rouse.yaml', config);
    await machine.check('rouse reload');
    const { MESSAGE, ADDED = '' } = await entry('EVENT=reload');
    expect(MESSAGE).toContain('3000 added');
    expect(JSON.parse(ADDED)).toHaveLength(3000);
  });

  test('has why rouse did not start as an error', async () => {
    await machine.write('/etc/rouse/bad.yaml', 'listeners: 3\n');
    const serve = 'rouse serve -c /etc/rouse/bad.yaml --runtime-dir /run/bad';
    await machine.run(`systemd-run -q --unit=bad --service-type=oneshot ${serve}`);
    const found = await machine.journal('bad', '-p err -o cat');
    expect(found).toMatch(/^rouse: \/etc\/rouse\/bad\.yaml:1:1: listeners: expected a map/m);
  });
});
