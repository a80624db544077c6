import { chownSync, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { PROGRAM } from '../app/program.js';
import { get } from '../support/http-client.js';
import { isRunning, listDescendants, readStatusField } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { runToEnd } from '../support/run-process.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { helloService, listenersOf, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';

const NOBODY = 65534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'];
/** A machine on which the kernel, or a missing package, allows no isolation. */
const WITHOUT_BUBBLEWRAP = [
  ...['unshare', '--mount', '--', 'sh', '-c'],
  'mount --bind /bin/false "$(command -v bwrap)" && exec "$@"',
  'sh',
];
const WITHOUT_USER_NAMESPACES = [
  ...['unshare', '--mount', '--', 'sh', '-c'],
  'mount --bind /bin/false "$(command -v unshare)" && exec "$@"',
  'sh',
];

const CONFIG = {
  listeners: listenersOf({ web: 'http', lines: 'tcp', creds: 'tcp' }),
  services: {
    web: helloService('web', { idle: { freeze: '100ms' } }),
    lines: serviceOf(['cat-lines.sh'], { routes: [{ listener: 'lines' }], upstream: 'stdio' }),
    notify: serviceOf(['notify-server.pl', 3000], {
      routes: [{ listener: 'web', host: 'notify' }],
      ready: 'notify',
    }),
    socket: serviceOf(['listen-fds-server.js'], {
      routes: [{ listener: 'web', host: 'socket' }],
      upstream: 'socket',
      reach: { web: '127.0.0.1:80' },
    }),
    creds: serviceOf(['peer-credentials.pl', '/run/app/creds.sock'], {
      routes: [{ listener: 'creds' }],
      upstream: 'unix:/run/app/creds.sock',
    }),
  },
};

/** Why `nobody` can't run rouse from this checkout; null: it can. */
async function whyNotAsNobody(): Promise<string | null> {
  const canRead = await runToEnd([...AS_NOBODY, process.execPath, PROGRAM, '--help']);
  if (canRead.code !== 0) return 'an ordinary user cannot read this checkout, or run this node';
  const unshared = await runToEnd([...AS_NOBODY, 'unshare', '--user', '--map-root-user', 'true']);
  return unshared.code === 0 ? null : `no user namespaces here: ${unshared.stderr.trim()}`;
}

function homeOf(directory: string) {
  chownSync(directory, NOBODY, NOBODY);
  return {
    HOME: directory,
    XDG_RUNTIME_DIR: directory,
    XDG_STATE_HOME: directory,
    TMPDIR: directory,
  };
}

describe.skipIf(whyNoIsolation !== null)(titled('as an ordinary user'), () => {
  let whyNot: string | null;
  beforeAll(async () => {
    whyNot = await whyNotAsNobody();
  });

  test('rouse isolates, serves, tells its status and ends as it does as root', async ({ skip }) => {
    skip(whyNot !== null, whyNot ?? '');
    using directory = makeTemporaryDirectory();
    const options = {
      directory: directory.path,
      prefix: AS_NOBODY,
      environment: homeOf(directory.path),
    };
    await using rouse = await ServedRouse.start(CONFIG, options);
    const web = await rouse.port('web');
    expect((await get(web, '/')).body).toContain('hello');
    expect((await get(web, '/', { host: 'socket' })).body).toContain('names socket');
    await rouse.admin.wake('notify', { wait: true });
    await using lines = await RawClient.connect({ port: await rouse.port('lines') });
    await lines.send('hello\n');
    await lines.readText('1 hello');
    await using creds = await RawClient.connect({ port: await rouse.port('creds') });
    await creds.readText('client 0 0, server 0 0');

    const { gateways, services } = await rouse.status();
    expect(gateways[0]?.isolation).toContain('namespaces');
    const pids = [gateways[0]?.pid ?? 0, ...services.flatMap(({ pid }) => pid ?? [])];
    expect(pids).toHaveLength(6);
    for (const pid of pids) {
      expect(readStatusField(pid, 'Uid').split('\t')).toEqual(Array(4).fill(String(NOBODY)));
      expect(readStatusField(pid, 'CapEff')).toMatch(/^0+$/);
      expect(readStatusField(pid, 'CapBnd')).toMatch(/^0+$/);
      expect(readStatusField(pid, 'NoNewPrivs')).toBe('1');
    }
    const networks = pids.map((pid) => readlinkSync(`/proc/${pid}/ns/net`));
    expect(new Set([...networks, readlinkSync('/proc/self/ns/net')]).size).toBe(pids.length + 1);

    await waitFor(async () => (await rouse.status()).services[0]?.state === 'frozen');
    expect((await get(web, '/again')).body).toContain('path /again');
    const command = [...AS_NOBODY, process.execPath, PROGRAM, 'status', '--runtime-dir'];
    expect((await runToEnd([...command, rouse.runtimeDir])).stdout).toMatch(
      /web\s+(running|frozen)/,
    );

    const processes = listDescendants(rouse.pid);
    for (const { socket } of [lines, creds]) socket.destroy();
    rouse.process.signal('SIGTERM');
    expect(await rouse.process.ended).toMatchObject({ code: 0, signal: null });
    await waitFor(() => !processes.some(isRunning));
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(directory.path);
    expect(existsSync(join(rouse.runtimeDir, 'admin.sock'))).toBe(false);
  });

  test('kill -9 of the supervisor leaves nothing running', async ({ skip }) => {
    skip(whyNot !== null, whyNot ?? '');
    using directory = makeTemporaryDirectory();
    const options = {
      directory: directory.path,
      prefix: AS_NOBODY,
      environment: homeOf(directory.path),
    };
    await using rouse = await ServedRouse.start(CONFIG, options);
    await rouse.admin.wake('web', { wait: true });
    const processes = listDescendants(rouse.pid);
    expect(processes.length).toBeGreaterThan(5);
    rouse.process.signal('SIGKILL');
    await waitFor(() => !processes.some(isRunning), {
      what: `the end of ${JSON.stringify(processes.filter(isRunning))}`,
    });
  });

  test('a port below 1024 is refused with what to do', async ({ skip }) => {
    skip(whyNot !== null, whyNot ?? '');
    using directory = makeTemporaryDirectory();
    const options = {
      directory: directory.path,
      prefix: AS_NOBODY,
      environment: homeOf(directory.path),
      mayFail: true,
    };
    const low = { web: { address: '127.0.0.1:81', protocol: 'http' } };
    await using rouse = await ServedRouse.start({ listeners: low, services: {} }, options);
    expect(await rouse.process.ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        'listener web: cannot bind 127.0.0.1:81: permission denied; run as root or grant CAP_NET_BIND_SERVICE',
      ),
    });
  });
});

describe.skipIf(whyNoIsolation !== null)(titled('where no isolation can be had'), () => {
  const WHERE = [
    ['root, without bubblewrap', WITHOUT_BUBBLEWRAP],
    ['an ordinary user, without user namespaces', [...WITHOUT_USER_NAMESPACES, ...AS_NOBODY]],
  ] as const;

  test.each(WHERE)('enforce: required is an error by name (%s)', async (_, prefix) => {
    using directory = makeTemporaryDirectory();
    const environment = homeOf(directory.path);
    const options = { directory: directory.path, prefix, environment, mayFail: true };
    await using rouse = await ServedRouse.start(CONFIG, options);
    const { code, stderr } = await rouse.process.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/rouse: this machine isolates nothing: .*enforce: best-effort/);
    expect(readdirSync(rouse.runtimeDir)).toEqual([]);
  });

  test.each(WHERE)(
    'enforce: best-effort serves, and says it in one line (%s)',
    async (_, prefix) => {
      using directory = makeTemporaryDirectory();
      const environment = homeOf(directory.path);
      const options = { directory: directory.path, prefix, environment };
      // Everything shares the ports of the host.
      const services = {
        socket: { ...CONFIG.services.socket, reach: {} },
        lines: CONFIG.services.lines,
      };
      const config = { ...CONFIG, enforce: 'best-effort', services };
      await using rouse = await ServedRouse.start(config, options);
      const warnings = rouse.process.output.match(
        /^.*NO ISOLATION: gateways and services share .*$/gm,
      );
      expect(warnings).toHaveLength(1);
      expect(warnings?.[0]).toContain('"level":"warn"');
      const answer = await get(await rouse.port('web'), '/', { host: 'socket' });
      expect(answer.body).toContain('names socket');
      await using lines = await RawClient.connect({ port: await rouse.port('lines') });
      await lines.send('hello\n');
      await lines.readText('1 hello');
      const { gateways } = await rouse.status();
      expect(gateways[0]).toMatchObject({ isolation: expect.stringMatching(/^none/) });
      const processes = listDescendants(rouse.pid);
      expect(processes.length).toBeGreaterThan(2);
      lines.end();
      await lines.readToEnd();
      rouse.process.signal('SIGTERM');
      expect(await rouse.process.ended).toMatchObject({ code: 0, signal: null });
      await waitFor(() => !processes.some(isRunning));
    },
  );
});
