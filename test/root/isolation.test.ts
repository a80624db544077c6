import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { readStatusField } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { helloService, listenersOf, RunningRouse, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';
import { runInside, shellService } from './shell-service.js';

/** A shell for each connection, inside the service's VPS. */
const shell = (listener: string, settings = {}) => ({
  routes: [{ listener }],
  run: { command: ['sh'] },
  upstream: 'stdio',
  idle: 'never',
  ...settings,
});

const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'] as const;
const CAPABILITY_SETS = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];

const namespacesOf = (pid: number | 'self') =>
  NAMESPACES.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));

describe.skipIf(whyNoIsolation !== null)(titled('isolation'), () => {
  const directory = makeTemporaryDirectory();
  const secret = join(directory.path, 'secret');
  let running: RunningRouse;
  let gateway: number;
  const pids: Record<string, number> = {};

  beforeAll(async () => {
    writeFileSync(secret, 'of the host');
    running = await RunningRouse.start({
      listeners: listenersOf({ web: 'http', a: 'tcp', b: 'tcp' }),
      services: {
        hello: helloService('web', { idle: 'never' }),
        a: shell('a'),
        b: shell('b'),
      },
    });
    await get(await running.port('web'), '/');
    for (const name of ['a', 'b']) await runIn(name, 'true');
    const { gateways, services } = await running.rouse.status();
    gateway = gateways[0]?.pid ?? 0;
    for (const { name, pid } of services) pids[name] = pid ?? 0;
  });
  afterAll(async () => {
    await running?.rouse.close();
    rmSync(directory.path, { recursive: true });
  });

  /** What a shell in the VPS of a service prints, errors included. */
  async function runIn(service: string, script: string): Promise<string> {
    await using client = await RawClient.connect({ port: await running.port(service) });
    await client.send(`exec 2>&1\n${script}\n`);
    client.end();
    return (await client.readToEnd()).toString();
  }

  test('gateway and services have namespaces of their own', async () => {
    const all = [namespacesOf('self'), namespacesOf(gateway), namespacesOf(pids.hello ?? 0)];
    for (const [index, name] of NAMESPACES.entries()) {
      const distinct = new Set(all.map((namespaces) => namespaces[index]));
      expect(distinct.size, `${name} namespaces`).toBe(all.length);
    }
    const inside = async (name: string) => runIn(name, 'readlink /proc/self/ns/net');
    expect(await inside('a')).not.toBe(await inside('b'));
  });

  test('neither is root, has a capability, or can gain one; each has a user of its own', () => {
    const users = [gateway, pids.hello ?? 0].map((pid) => {
      for (const set of CAPABILITY_SETS) expect(readStatusField(pid, set)).toMatch(/^0+$/);
      expect(readStatusField(pid, 'NoNewPrivs')).toBe('1');
      const ids = ['Uid', 'Gid'].flatMap((field) => readStatusField(pid, field).split('\t'));
      expect(ids.map(Number).filter((id) => id === 0)).toEqual([]);
      return ids[0];
    });
    expect(new Set(users).size).toBe(users.length);
  });

  test('the gateway’s root is read-only and has nothing of the services or of the host', () => {
    const root = `/proc/${gateway}/root`;
    const mounts = readFileSync(`/proc/${gateway}/mountinfo`, 'utf8').trim().split('\n');
    const writable = mounts
      .map((line) => line.split(' '))
      .filter(([, , , , , options = '']) => !options.split(',').includes('ro'))
      .map(([, , , , path = '']) => path);
    expect(writable.filter((path) => !/^\/(proc|dev)(\/|$)/.test(path))).toEqual([]);
    const there = readdirSync(root);
    for (const name of ['tmp', 'home', 'root', 'var', 'srv', 'run']) {
      if (there.includes(name)) expect(readdirSync(`${root}/${name}`)).not.toContain('rouse');
    }
    expect(() => readFileSync(`${root}${secret}`)).toThrow(/ENOENT/);
    expect(() => readFileSync(`${root}/etc/passwd`)).toThrow(/ENOENT/);
  });

  test('the gateway’s network has no interface but loopback', () => {
    const interfaces = readFileSync(`/proc/${gateway}/net/dev`, 'utf8').match(/^\s*\S+:/gm);
    expect(interfaces?.map((name) => name.trim())).toEqual(['lo:']);
  });

  test('a service sees no processes but its own', async () => {
    const seen = await runIn('a', 'cat /proc/[0-9]*/comm');
    const names = new Set(seen.trim().split('\n'));
    expect([...names].filter((name) => !['bwrap', 'cat', 'sh'].includes(name))).toEqual([]);
    expect(await runIn('a', 'kill -0 1 && echo may signal')).not.toContain('may signal');
  });

  test('a service reaches neither the loopback of the host nor that of another service', async () => {
    const visitors: net.Socket[] = [];
    const onHost = net.createServer((socket) => visitors.push(socket.end()));
    onHost.listen(0, '127.0.0.1');
    await once(onHost, 'listening');
    const { port } = onHost.address() as net.AddressInfo;
    const dial = (service: string, target: number) =>
      runIn(
        service,
        `perl -MIO::Socket::INET -e 'print IO::Socket::INET->new("127.0.0.1:${target}") ? "open" : $!'`,
      );
    expect(await dial('a', port)).toBe('Connection refused');
    // The HTTP service listens on 3000 of its own loopback.
    expect(await dial('a', 3000)).toBe('Connection refused');
    expect(visitors).toEqual([]);
    onHost.close();
  });

  test('a service has no way out but its loopback', async () => {
    const interfaces = (await runIn('a', 'cat /proc/net/dev')).match(/^\s*\S+:/gm);
    expect(interfaces?.map((name) => name.trim())).toEqual(['lo:']);
  });

  test('/tmp is private: neither the host’s nor another service’s, and gone with the VPS', async () => {
    expect(await runIn('a', `cat ${secret}`)).toContain('No such file');
    expect(await runIn('a', 'echo mine > /tmp/mark && cat /tmp/mark')).toBe('mine\n');
    expect(await runIn('b', 'cat /tmp/mark')).toContain('No such file');
    expect(await runIn('a', 'cat /tmp/mark')).toBe('mine\n');
    await running.rouse.sleep('a', { force: true });
    expect(await runIn('a', 'cat /tmp/mark')).toContain('No such file');
  });

  test.each(['/', '/etc', '/usr', '/usr/bin', '/var', '/proc/sys/kernel', '/sys', '/dev'])(
    'a service cannot write to %s',
    async (path) => {
      const script = `touch ${path}/rouse-was-here && echo written`;
      expect(await runIn('a', script)).not.toContain('written');
    },
  );

  test('a service sees nothing of rouse’s own directories', async () => {
    const { runtimeDir } = running.rouse;
    expect(await runIn('a', `ls ${runtimeDir}`)).not.toContain('admin.sock');
  });

  test('a service gets no descriptor but its own three', async () => {
    const open = await runIn('a', 'ls -l /proc/$$/fd');
    const numbers = [...open.matchAll(/ (\d+) -> /g)].map(([, fd]) => Number(fd));
    expect(numbers.filter((fd) => fd > 2)).toEqual([]);
    const hello = readdirSync(`/proc/${pids.hello}/fd`).map((fd) =>
      readlinkSync(`/proc/${pids.hello}/fd/${fd}`),
    );
    expect(hello.filter((target) => /^\/(?!dev\/null)/.test(target))).toEqual([]);
  });

  test('a service cannot become root again by a set-user-ID program', async () => {
    const script = 'for f in su mount passwd; do p=$(command -v $f) && ls -l $p; done; id -u';
    expect((await runIn('a', script)).trim().split('\n').at(-1)).not.toBe('0');
    expect(await runIn('a', 'mount -t tmpfs none /tmp && echo mounted')).not.toContain('mounted');
    expect(await runIn('a', 'unshare --mount true && echo unshared')).not.toContain('unshared');
  });
});

test.skipIf(whyNoIsolation !== null)(
  titled('a capability that rouse was started with, for its children to inherit, stops at rouse'),
  async () => {
    const config = {
      listeners: listenersOf({ a: 'tcp' }),
      services: { a: shellService('a') },
    };
    const prefix = ['setpriv', '--inh-caps=+net_raw'];
    await using rouse = await ServedRouse.start(config, { prefix });
    expect(readStatusField(rouse.pid, 'CapInh')).not.toMatch(/^0+$/);
    const status = await runInside(await rouse.port('a'), 'cat /proc/self/status');
    expect(status).toMatch(/^CapInh:\t0+$/m);
  },
);

test.skipIf(whyNoIsolation !== null)(
  titled(
    'a rouse that cannot take capabilities away from services for good says so and does not start',
  ),
  async () => {
    const config = { listeners: listenersOf({ a: 'tcp' }), services: { a: shellService('a') } };
    const options = { prefix: ['setpriv', '--bounding-set=-setpcap'], mayFail: true };
    await using rouse = await ServedRouse.start(config, options);
    const { code, stderr } = await rouse.process.ended;
    expect(code).toBe(1);
    expect(stderr).toContain('empty the capability bounding set: EPERM');
  },
);
