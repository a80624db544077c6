import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GUEST_FIXTURES, Machine, titled, whyNoSystemd } from './machine.js';

/** Runs a line of shell for each connection. */
const shell = (listener: string, settings: { run?: object; [key: string]: unknown } = {}) => ({
  routes: [{ listener }],
  upstream: 'stdio',
  ...settings,
  run: { command: ['sh', '-c', 'read -r line; eval "$line" 2>&1'], ...settings.run },
});
const fixture = (host: string, ...command: readonly string[]) => ({
  routes: [{ host }],
  run: { command, directory: GUEST_FIXTURES },
});

const CONFIG = {
  enforce: 'required',
  listeners: {
    web: { address: '127.0.0.1:80', protocol: 'http' },
    a: { address: '127.0.0.1:7000', protocol: 'tcp' },
    b: { address: '127.0.0.1:7001', protocol: 'tcp' },
    outer: { address: '127.0.0.1:7002', protocol: 'tcp' },
    ready: { address: '127.0.0.1:7003', protocol: 'tcp' },
  },
  services: {
    hello: { ...fixture('hello', './http-hello.js', '3000'), upstream: 'tcp:3000' },
    unix: {
      ...fixture('unix', './unix-server.js', '/run/app/http.sock'),
      upstream: 'unix:/run/app/http.sock',
    },
    inherits: { ...fixture('inherits', './listen-fds-server.js'), upstream: 'socket' },
    notifies: {
      routes: [{ listener: 'ready' }],
      run: { command: ['./notify-server.pl', '3000'], directory: GUEST_FIXTURES },
      upstream: 'tcp:3000',
      ready: 'notify',
    },
    a: shell('a', {
      run: { nice: -5, umask: '077', user: 'daemon', rlimits: { nofile: 100 } },
      isolation: { writable: ['/srv/data', '/etc/data'] },
      reach: { hello: '127.0.0.1:5000' },
      cpus: [0],
    }),
    b: shell('b', {
      isolation: { state: true },
      egress: ['192.0.2.1:80'],
      resources: { tasks: 50, tmp: '1M' },
    }),
    outer: shell('outer', { isolation: { network: 'host' } }),
  },
};

describe.skipIf(whyNoSystemd !== null)(
  titled('in the sandbox of its unit'),
  { timeout: 60_000 },
  () => {
    let machine: Machine;
    beforeAll(async () => {
      machine = await Machine.boot();
      await machine.check('for d in /srv /etc; do install -d -o daemon $d/data; done');
      await machine.write('/etc/rouse/rouse.yaml', CONFIG);
      await machine.check('systemctl start rouse');
    });
    afterAll(() => machine?.[Symbol.asyncDispose]());

    const PORTS = { a: 7000, b: 7001, outer: 7002 };
    const runIn = (service: keyof typeof PORTS, line: string) =>
      machine.check(`curl -s telnet://127.0.0.1:${PORTS[service]}`, `${line}\n`);

    test.each(['hello', 'unix', 'inherits'])(
      'rouse starts and reaches a service by its upstream: %s',
      async (host) => {
        expect(await machine.curl(`-H 'Host: ${host}' http://127.0.0.1/`)).toContain('hello');
      },
    );

    test('a service says itself that it is ready', async () => {
      expect(await machine.check('curl -s telnet://127.0.0.1:7003 </dev/null')).toBe('ready\n');
    });

    test('a service has the user, priority, limits and CPUs that its configuration says', async () => {
      const said = await runIn('a', 'id -un; umask; ulimit -n; nproc; sleep 0.3; nice');
      expect(said.trim().split('\n')).toEqual(['daemon', '0077', '100', '1', '-5']);
    });

    test('a service has no capability, and can never get one', async () => {
      const sets = await runIn('a', 'grep ^Cap /proc/self/status');
      expect(sets.match(/\t0+$/gm)).toHaveLength(5);
    });

    test('a service writes what is its own or granted, but never to /etc', async () => {
      expect(await runIn('a', 'echo x >/srv/data/x && cat /srv/data/x')).toBe('x\n');
      expect(await runIn('a', 'echo x >/etc/data/x')).toContain('Read-only file system');
      await runIn('b', 'echo kept >$STATE_DIRECTORY/x');
      expect(
        await runIn('b', 'cat $STATE_DIRECTORY/x; id -u; stat -c %u $STATE_DIRECTORY'),
      ).toMatch(/^kept\n(\d+)\n\1\n$/);
      expect(await runIn('b', 'head -c 2M /dev/zero >/tmp/x')).toContain('No space left');
    });

    test('a service reaches others, the outside by its rules, and the host’s network where it is granted', async () => {
      expect(await runIn('a', 'curl -sS http://127.0.0.1:5000/')).toContain('hello');
      const refused = await runIn('b', 'curl -s -o /dev/null -w %{http_code} http://192.0.2.2/');
      expect(refused).toBe('403');
      const networks = ['outer', 'a'] as const;
      const [host, outer, a] = [
        await machine.check('readlink /proc/1/ns/net'),
        ...(await Promise.all(networks.map((name) => runIn(name, 'readlink /proc/self/ns/net')))),
      ];
      expect(outer).toBe(host);
      expect(a).not.toBe(host);
    });

    test('services are frozen, thawed, stopped in their way, and reloaded', async () => {
      const get = () => machine.curl(`-H 'Host: hello' http://127.0.0.1/`);
      await machine.check('rouse wake hello && rouse freeze hello');
      expect(await get()).toContain('hello');
      await machine.check('rouse sleep hello --force');
      const { services } = JSON.parse(await machine.check('rouse status hello --json'));
      expect(services[0].lastExit).toMatchObject({ code: 0 });
      await machine.check('systemctl reload rouse');
      expect(await get()).toContain('hello');
      expect(await machine.journal('rouse', '-o cat -p err')).toBe('');
    });

    test('what a service keeps is its own again when rouse was restarted', async () => {
      await runIn('b', 'echo kept >$STATE_DIRECTORY/x');
      await machine.check('systemctl restart rouse');
      expect(await runIn('b', 'cat $STATE_DIRECTORY/x')).toBe('kept\n');
    });
  },
);
