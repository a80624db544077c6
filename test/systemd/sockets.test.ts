import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.js';
import { GUEST_FIXTURES, Machine, titled, whyNoSystemd } from './machine.js';

const SERVICES = {
  hello: {
    routes: [{ listener: 'web' }],
    run: { command: ['./http-hello.js', '3000'], directory: GUEST_FIXTURES },
    upstream: 'tcp:3000',
  },
};

/** A listener on what socket units pass by one or more names. */
const configOf = (...names: readonly string[]) => ({
  enforce: 'required',
  listeners: { web: { address: names.map((name) => `systemd:${name}`), protocol: 'http' } },
  services: SERVICES,
});

describe.skipIf(whyNoSystemd !== null)(titled('sockets from systemd'), { timeout: 60_000 }, () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await Machine.boot();
    // Ports that this machine has free, in place of 80.
    const lines = ['[Socket]', 'ListenStream=', 'ListenStream=127.0.0.1:8080', 'ListenStream=8081'];
    await machine.write('/etc/systemd/system/rouse.socket.d/test.conf', lines.join('\n'));
    await socketUnit('rouse-local', 'ListenStream=/run/local.sock', 'FileDescriptorName=local');
    await socketUnit('rouse-dns', 'ListenDatagram=127.0.0.1:5300', 'FileDescriptorName=dns');
    await machine.check('systemctl daemon-reload');
  });
  afterAll(() => machine?.[Symbol.asyncDispose]());
  afterEach(() => machine.run('systemctl stop "rouse*"'));

  const socketUnit = (name: string, ...lines: readonly string[]) =>
    machine.write(
      `/etc/systemd/system/${name}.socket`,
      ['[Socket]', 'Service=rouse.service', ...lines, ''].join('\n'),
    );
  const writeConfig = (config: object) => machine.write('/etc/rouse/rouse.yaml', config);

  test('take connections before rouse runs: the first client starts it', async () => {
    await writeConfig(configOf('web'));
    await machine.check('systemctl start rouse.socket');
    expect(await machine.property('rouse', 'ActiveState')).toBe('inactive');
    expect(await machine.curl('http://127.0.0.1:8080/')).toContain('hello');
    await waitFor(async () => (await machine.property('rouse', 'ActiveState')) === 'active');
  });

  test('are all listened on, several of one name and Unix sockets too, through a restart', async () => {
    await writeConfig(configOf('web', 'local'));
    await machine.check('systemctl start rouse.socket rouse-local.socket rouse.service');
    const urls = [
      'http://127.0.0.1:8080/',
      'http://[::1]:8081/',
      '--unix-socket /run/local.sock http://local/',
    ];
    for (const url of urls) expect(await machine.curl(url)).toContain('hello');
    const { listeners } = JSON.parse(await machine.check('rouse status --json'));
    expect(listeners[0].addresses.toSorted()).toEqual([
      '/run/local.sock',
      '127.0.0.1:8080',
      '[::]:8081',
    ]);
    const meanwhile = urls.map((url) => machine.curl(`--retry 0 ${url}`));
    await machine.check('systemctl restart rouse');
    for (const answer of await Promise.all(meanwhile)) expect(answer).toContain('hello');
    for (const url of urls) expect(await machine.curl(url)).toContain('hello');
  });

  test('that are not there are named with those that are, at the start and by a reload', async () => {
    await writeConfig(configOf('web', 'nope'));
    await machine.check('systemctl start rouse.socket rouse-local.socket');
    expect((await machine.run('systemctl start rouse')).code).toBe(1);
    const what = 'listener web: systemd passed no socket named nope; it passed: ';
    const journal = await machine.journal('rouse');
    expect(journal).toContain(what);
    const [, there = ''] = new RegExp(`${what}(.*)`).exec(journal) ?? [];
    expect(there.split(', ').toSorted()).toEqual(['local', 'web']);
    await writeConfig(configOf('web'));
    await waitFor(async () => (await machine.property('rouse', 'ActiveState')) === 'active');
    await writeConfig(configOf('nope'));
    const { code, stderr } = await machine.run('rouse reload');
    expect(code).toBe(1);
    expect(stderr).toContain(what);
    expect((await machine.run('systemctl reload rouse')).code).not.toBe(0);
    expect(await machine.curl('http://127.0.0.1:8080/')).toContain('hello');
  });

  test('of datagrams are refused, and nobody is left waiting on unused ones without a word', async () => {
    await machine.check('systemctl start rouse.socket rouse-dns.socket');
    await writeConfig(configOf('web', 'dns'));
    expect((await machine.run('systemctl start rouse')).code).toBe(1);
    expect(await machine.journal('rouse')).toContain(
      'listener web: systemd:dns is a datagram socket, for which there is no protocol yet',
    );
    await writeConfig(configOf('web'));
    await waitFor(async () => (await machine.property('rouse', 'ActiveState')) === 'active');
    expect(await machine.journal('rouse')).toContain(
      'nobody accepts from the sockets that systemd passed as dns',
    );
  });
});
