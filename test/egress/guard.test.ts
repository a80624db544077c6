import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cidr, formatIp, type Ip, parseCidr, parseIp } from '../../src/base/ip.js';
import { parseEgressRule } from '../../src/config/egress-rule.js';
import { createGuard } from '../../src/egress/guard.js';
import { Policy } from '../../src/egress/policy.js';
import { parseAuthority, type Target } from '../../src/egress/target.js';

const policyOf = (...rules: string[]) => new Policy(rules.map(parseEgressRule));
const target = (text: string) => parseAuthority(text, null) as Target;
const ips = (...texts: string[]) => texts.map((text) => parseIp(text) as Ip);

/** A guard whose names lead to what is given, one list a look-up. */
function guardWith(...answers: string[][]) {
  const lookups: string[] = [];
  const guard = createGuard({
    readOwnAddresses: () => [parseCidr('192.0.2.7') as Cidr],
    resolve: async (name) => {
      const answer = answers[lookups.length] ?? answers.at(-1) ?? [];
      lookups.push(name);
      return ips(...answer);
    },
  });
  const check = async (policy: Policy, text: string) =>
    (await guard.check(policy, target(text))).map(formatIp);
  return { check, lookups };
}

describe('egress rules', () => {
  const policy = policyOf(
    ...['api.example.com:443', '*.cdn.example.com:80-90', '10.0.0.0/8:*', '192.0.2.1:5432'],
    '[2001:db8::/32]:443',
  );

  test.each([
    ...['api.example.com:443', 'API.example.com.:443', 'a.cdn.example.com:80'],
    ...['a.cdn.example.com:90', '10.1.2.3:1', '10.255.0.1:65535', '192.0.2.1:5432'],
    ...['[2001:db8::1]:443', '[::ffff:10.0.0.1]:5'],
  ])('allow %s', (text) => expect(policy.permits(target(text))).toBe(true));

  test.each([
    ...['api.example.com:80', 'example.com:443', 'x.api.example.com:443', 'cdn.example.com:80'],
    ...['a.b.cdn.example.com:80', 'a.cdn.example.com:91', 'a.cdn.example.com:79'],
    ...['api.example.com.evil.test:443', 'evilapi.example.com:443', 'db.internal:5432'],
    ...[
      '11.0.0.1:1',
      '192.0.2.1:5433',
      '192.0.2.2:5432',
      '[2001:db9::1]:443',
      '[64:ff9b::a00:1]:1',
    ],
  ])('do not allow %s', (text) => expect(policy.permits(target(text))).toBe(false));

  test('none allow nothing', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 1, max: 65535 }), (ip, port) => {
        expect(policyOf().permits(target(`${ip}:${port}`))).toBe(false);
      }),
    );
  });

  test('a block allows exactly the addresses in it', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), fc.nat(32), (inside, other, bits) => {
        const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
        const text = (value: number) => formatIp({ family: 4, words: [value >>> 0] });
        const cidr = `${text((inside & mask) >>> 0)}/${bits}`;
        const isWithin = (inside & mask) >>> 0 === (other & mask) >>> 0;
        const policy = new Policy([{ kind: 'block', cidr, ports: { first: 5, last: 5 } }]);
        expect(policy.permits(target(`${text(inside)}:5`))).toBe(true);
        expect(policy.permits(target(`${text(other)}:5`))).toBe(isWithin);
        expect(policy.permits(target(`${text(inside)}:6`))).toBe(false);
      }),
    );
  });
});

describe('the guard', () => {
  test('gives back the addresses that it has checked, from one look-up', async () => {
    const { check, lookups } = guardWith(['192.0.2.1', '2001:db8::1'], ['127.0.0.1']);
    expect(await check(policyOf('a.test:1'), 'a.test:1')).toEqual(['192.0.2.1', '2001:db8::1']);
    expect(lookups).toEqual(['a.test']);
  });

  test('looks up no name that the rules do not have: a look-up carries data out', async () => {
    const { check, lookups } = guardWith(['192.0.2.1']);
    const policy = policyOf('a.test:1', '0.0.0.0/0:*');
    await expect(check(policy, 'secret.evil.test:1')).rejects.toMatchObject({
      code: 'not-allowed',
    });
    await expect(check(policy, 'a.test:2')).rejects.toMatchObject({ code: 'not-allowed' });
    expect(lookups).toEqual([]);
  });

  test.each([
    [['127.0.0.1']],
    [['192.0.2.1', '127.0.0.1']],
    [['::1', '192.0.2.1']],
    [['169.254.169.254']],
    [['192.0.2.7']],
    [['64:ff9b::7f00:1']],
    [['0.0.0.0']],
  ])('refuses a name that leads to %j', async (addresses) => {
    const { check } = guardWith(addresses);
    await expect(check(policyOf('a.test:*', '127.0.0.0/8:*'), 'a.test:1')).rejects.toMatchObject({
      code: 'forbidden-address',
    });
  });

  test('refuses loopback by address, unless a rule is for loopback alone', async () => {
    const { check } = guardWith();
    const all = policyOf('0.0.0.0/0:*', '[::/0]:*');
    for (const text of ['127.0.0.1:22', '[::1]:22', '[::ffff:127.0.0.1]:22', '0.0.0.0:22']) {
      await expect(check(all, text)).rejects.toMatchObject({ code: 'forbidden-address' });
    }
    const explicit = policyOf('0.0.0.0/0:*', '127.0.0.5/32:22');
    expect(await check(explicit, '127.0.0.5:22')).toEqual(['127.0.0.5']);
    for (const text of ['127.0.0.5:23', '127.0.0.6:22']) {
      await expect(check(explicit, text)).rejects.toMatchObject({ code: 'forbidden-address' });
    }
  });
});
