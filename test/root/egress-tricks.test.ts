import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { HOST, IDLE_HOST, OUTSIDE, OutsideWorld } from './outside-world.js';
import { titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';
import { runInside, shellService } from './shell-service.js';

const whyNot =
  whyNoIsolation ??
  (existsSync('/usr/sbin/ip') || existsSync('/sbin/ip')
    ? null
    : 'the package iproute2 is not installed');

/** As generous as rules get; none is for the host's own addresses alone. */
const RULES = [
  ...['0.0.0.0/0:*', '[::/0]:*', 'allowed.test:80'],
  ...['loopback.test:*', 'half.test:*', 'host.test:*', 'idle-host.test:*', 'mapped.test:*'],
  ...['nobody.test:*', 'rebind.test:*', 'localhost:*'],
];

/** One request through the proxy, by a tunnel: what curl says, or the answer. */
const through = (host: string) =>
  `curl -sS -p --max-time 15 --noproxy '' --globoff http://${host}/`;
/** The same without the proxy. */
const directly = (host: string) => `curl -sS --max-time 15 --noproxy '*' --globoff http://${host}/`;
/** As it is, not as curl would write it. */
const byHand = (authority: string) =>
  `perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(substr($ENV{HTTP_PROXY}, 7)); print $s "CONNECT ${authority} HTTP/1.1\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n"; print while <$s>'`;

describe.skipIf(whyNot !== null)(titled('a service that is allowed nearly everything'), () => {
  let world: OutsideWorld;
  let rouse: ServedRouse;
  const directory = makeTemporaryDirectory();
  const socketOf = (listener: string) => join(directory.path, `${listener}.sock`);
  const run = (line: string) => runInside(socketOf('app'), line);
  const runUnprotected = (line: string) => runInside(socketOf('open'), line);

  beforeAll(async () => {
    world = await OutsideWorld.start();
    const listeners = Object.fromEntries(
      ['app', 'open'].map((name) => [name, { address: `unix:${socketOf(name)}`, protocol: 'tcp' }]),
    );
    const services = {
      app: shellService('app', { egress: RULES }),
      open: shellService('open', { isolation: { network: 'host' } }),
    };
    rouse = await ServedRouse.start(
      { listeners, services },
      { directory: directory.path, prefix: world.prefix },
    );
  });

  afterAll(async () => {
    await rouse?.[Symbol.asyncDispose]();
    await world?.[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  test('reaches the outside by name and by address', async () => {
    expect(await run(through('allowed.test'))).toContain('hello from outside');
    expect(await run(through(OUTSIDE))).toContain('hello from outside');
    expect(await run(directly(OUTSIDE))).not.toContain('hello');
    expect(await run(through('other.test'))).toContain('response 403');
  });

  test.each([
    ['its loopback address', '127.0.0.1'],
    ['another loopback address', '127.3.2.1'],
    ['a name that leads to it', 'loopback.test'],
    ['localhost', 'localhost'],
    ['an IPv4-mapped address', '[::ffff:127.0.0.1]'],
    ['a name that leads to an IPv4-mapped address', 'mapped.test'],
    ['the unspecified address', '0.0.0.0'],
    ['a name that leads to the unspecified address', 'nobody.test'],
    ['its own address', HOST],
    ['a name that leads to its own address', 'host.test'],
    ['its address on an interface without a carrier', IDLE_HOST],
    ['a name of that', 'idle-host.test'],
  ])('does not reach the host by %s', async (_title, host) => {
    expect(await run(through(host))).toContain('response 403');
    expect(await runUnprotected(directly(host))).toContain('hello from the-host');
  });

  test('does not reach a name that leads to the host as well', async () => {
    expect(await run(through('half.test'))).toContain('response 403');
  });

  test.each(['2130706433', '0x7f000001', '127.1', '0177.0.0.1', '[::ffff:0x7f000001]'])(
    'does not reach the host as %s',
    async (host) => {
      expect(await run(byHand(`${host}:80`))).toMatch(/^HTTP\/1.1 400/);
      if (!host.startsWith('[')) {
        expect(await runUnprotected(directly(host))).toContain('hello from the-host');
      }
    },
  );

  test.each(['[64:ff9b::7f00:1]', '[2002:7f00:1::1]', '[::127.0.0.1]', '[fe80::1]', '[::1]'])(
    'has nothing sent to %s',
    async (host) => {
      expect(await run(byHand(`${host}:80`))).toMatch(/^HTTP\/1.1 403/);
    },
  );

  test('is connected where a name led to when it was checked, and refused when it leads to the host', async () => {
    expect(await run(through('rebind.test'))).toContain('hello from outside');
    expect(world.names.output.match(/asked for rebind\.test\n/g)?.length).toBeLessThanOrEqual(2);
    expect(await run(through('rebind.test'))).toContain('response 403');
    expect(await runUnprotected(directly('rebind.test'))).toContain('hello from the-host');
  });

  test('sends nothing out by asking for names that it has no rule for', async () => {
    expect(await run(through('secret.exfiltration.test'))).toContain('response 403');
    expect(world.names.output).not.toContain('exfiltration');
    await runUnprotected(directly('secret.exfiltration.test'));
    expect(world.names.output).toContain('secret.exfiltration.test');
  });
});
