import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { type Ip, parseIp } from '../../src/base/ip.js';
import { createGuard, type Guard } from '../../src/egress/guard.js';
import { EgressRig, GUARD, NO_GUARD, startEcho } from './egress-rig.js';

/** Rules as generous as they get, and none for loopback alone. */
const RULES = ['0.0.0.0/0:*', '[::/0]:*', 'localhost:*', 'rebind.test:*'];

const statusOf = async (guard: Guard, authority: string) => {
  await using rig = await EgressRig.start({ rules: RULES, guard });
  return await rig.connectStatus(authority);
};

describe("this host's loopback", () => {
  test.each([
    ['by its address', '127.0.0.1'],
    ['by a name that leads to it', 'localhost'],
    ['as an IPv4-mapped address', '[::ffff:127.0.0.1]'],
    ['as an IPv4-mapped address in hexadecimal', '[::ffff:7f00:1]'],
    ['as another address of the block', '127.9.9.9'],
    ['as the unspecified address', '0.0.0.0'],
  ])('is not reached %s; without the guard it is', async (_title, host) => {
    await using server = await startEcho('0.0.0.0');
    const authority = `${host}:${server.port}`;
    expect(await statusOf(GUARD, authority)).toBe(403);
    expect(await statusOf(NO_GUARD, authority)).toBe(200);
  });

  test.each([
    ['[64:ff9b::127.0.0.1]', 'NAT64'],
    ['[2002:7f00:1::]', '6to4'],
    ['[::127.0.0.1]', 'IPv4-compatible'],
  ])('is not tried as %s (%s)', async (host) => {
    expect(await statusOf(GUARD, `${host}:80`)).toBe(403);
  });

  test.each(['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '0x7f.0.0.1'])(
    'is not reached as %s, which the C library takes for it',
    async (host) => {
      await using server = await startEcho('127.0.0.1');
      expect(await statusOf(NO_GUARD, `${host}:${server.port}`)).toBe(400);
      const direct = net.connect({ host, port: server.port });
      await once(direct, 'connect');
      direct.destroy();
    },
  );
});

describe('a name whose address changes between check and connection', () => {
  /** Somewhere outside at first (a documentation address: nobody is there), this host from then on. */
  function rebinding() {
    let lookups = 0;
    const resolve = async () => {
      lookups += 1;
      return [parseIp(lookups === 1 ? '192.0.2.1' : '127.0.0.1') as Ip];
    };
    return { resolve, count: () => lookups };
  }

  test('is connected to where the check has seen it: it is looked up once', async () => {
    const names = rebinding();
    const guard = createGuard({ resolve: names.resolve, readOwnAddresses: () => [] });
    const seen: string[] = [];
    const watched: Guard = {
      async check(policy, target) {
        const addresses = await guard.check(policy, target);
        seen.push(...addresses.map(({ words }) => String(words)));
        // Nobody is there: that it goes on from here to that address is what counts.
        return [];
      },
    };
    expect(await statusOf(watched, 'rebind.test:80')).toBe(502);
    expect(names.count()).toBe(1);
    expect(seen).toEqual([String(parseIp('192.0.2.1')?.words)]);
  });

  test('would reach this host if it were looked up again', async () => {
    await using server = await startEcho('127.0.0.1');
    const names = rebinding();
    const careful = createGuard({ resolve: names.resolve, readOwnAddresses: () => [] });
    const careless: Guard = {
      async check(policy, target) {
        await careful.check(policy, target);
        return names.resolve();
      },
    };
    expect(await statusOf(careless, `rebind.test:${server.port}`)).toBe(200);
  });
});
