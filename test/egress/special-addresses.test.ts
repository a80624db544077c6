import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cidr, cidrContains, formatIp, parseCidr, parseIp } from '../../src/base/ip.js';
import {
  ipv6AddressesOf,
  localBlocksOf,
  readOwnAddresses,
} from '../../src/egress/own-addresses.js';
import { whyForbidden } from '../../src/egress/special-addresses.js';

const OWN = ['192.0.2.7', '2001:db8::7', '10.9.0.0/16'].map((text) => parseCidr(text) as Cidr);
const block = (text: string) => parseCidr(text) as Cidr;
const reason = (ip: string, rule: string | null) => {
  const parsed = parseIp(ip);
  if (parsed === null) throw new Error(`${ip} is no address`);
  return whyForbidden(parsed, OWN, rule === null ? null : block(rule));
};

describe('an address that a name leads to', () => {
  test.each([
    ...['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1'],
    ...['169.254.169.254', 'fe80::1', '::ffff:169.254.169.254'],
    ...['0.0.0.0', '0.1.2.3', '::', '224.0.0.1', '239.1.1.1', 'ff02::1', '255.255.255.255'],
    ...['::127.0.0.1', '::ffff:0:127.0.0.1', '64:ff9b::127.0.0.1', '64:ff9b::169.254.169.254'],
    ...['64:ff9b::192.0.2.7', '64:ff9b:1::7f00:1', '2002:7f00:1::', '2001:0:7f00:1::'],
    ...['192.0.2.7', '2001:db8::7', '10.9.200.1', '64:ff9b::10.9.0.1', '64:ff9b::0.0.0.0'],
  ])('%s is never open', (ip) => {
    expect(reason(ip, null)).not.toBeNull();
  });

  test.each(['10.0.0.1', '192.0.2.8', '2001:db8::8', '8.8.8.8', '64:ff9b::808:808', 'fd00::1'])(
    '%s may be',
    (ip) => expect(reason(ip, null)).toBeNull(),
  );
});

describe('an address that a block allows', () => {
  test.each([
    ['127.0.0.5', '127.0.0.5/32'],
    ['127.0.0.1', '127.0.0.0/8'],
    ['::1', '::1/128'],
    ['169.254.169.254', '169.254.169.254/32'],
    ['192.0.2.7', '192.0.2.7/32'],
    ['10.9.1.1', '10.9.0.0/16'],
    ['192.0.2.8', '0.0.0.0/0'],
  ])('%s is open to %s, which lies within its kind', (ip, rule) => {
    expect(reason(ip, rule)).toBeNull();
  });

  test.each([
    ['127.0.0.1', '0.0.0.0/0'],
    ['127.0.0.1', '126.0.0.0/7'],
    ['169.254.169.254', '169.0.0.0/8'],
    ['192.0.2.7', '192.0.2.0/24'],
    ['10.9.1.1', '10.0.0.0/8'],
    ['::1', '::/0'],
    ['::1', '::/96'],
    ['64:ff9b::127.0.0.1', '64:ff9b::/96'],
    ['64:ff9b::127.0.0.1', '64:ff9b::7f00:1/128'],
    ['2002:7f00:1::', '2002:7f00:1::/48'],
    ['0.0.0.0', '0.0.0.0/32'],
    ['224.0.0.1', '224.0.0.1/32'],
  ])('%s is not open to %s', (ip, rule) => {
    expect(reason(ip, rule)).not.toBeNull();
  });

  test('in 127.0.0.0/8 is never open to a rule that reaches beyond it, however it is written', () => {
    fc.assert(
      fc.property(fc.nat(0xffffff), fc.integer({ min: 0, max: 7 }), (low, prefixBits) => {
        const ip = { family: 4, words: [(127 * 2 ** 24 + low) >>> 0] } as const;
        const mapped = parseIp(`::ffff:${formatIp(ip)}`);
        const rule = block(`${formatIp(ip)}/${prefixBits}`);
        expect(cidrContains(rule, ip)).toBe(true);
        expect(whyForbidden(ip, [], rule)).not.toBeNull();
        expect(mapped && whyForbidden(mapped, [], rule)).not.toBeNull();
      }),
    );
  });
});

describe('the addresses of this host', () => {
  test('have the loopback, and all that the kernel calls local', () => {
    const own = readOwnAddresses();
    const has = (text: string) =>
      own.some((cidr) =>
        cidrContains(cidr, parseIp(text) as NonNullable<ReturnType<typeof parseIp>>),
      );
    expect(has('127.0.0.1')).toBe(true);
    expect(has('192.0.2.200')).toBe(false);
  });

  test("are read from the kernel's tables: those of interfaces without a carrier, blocks, secondaries", () => {
    const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 172.17.0.0/16 2 0 2
        |-- 172.17.0.0
           /16 link UNICAST
           /32 link BROADCAST
        |-- 172.17.0.1
           /32 host LOCAL
        |-- 10.1.0.0
           /16 host LOCAL tos=0
`;
    expect(localBlocksOf(trie)).toEqual(['172.17.0.1/32', '10.1.0.0/16']);
    const table =
      '00000000000000000000000000000001 01 80 10 80       lo\nfe800000000000000242acfffe110001 02 40 20 80  docker0\n';
    expect(ipv6AddressesOf(table).map((text) => formatIp(parseIp(text) as never))).toEqual([
      '::1',
      'fe80::242:acff:fe11:1',
    ]);
  });
});
