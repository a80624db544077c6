import { BlockList, isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CidrMap } from '../../src/base/cidr-map.js';
import {
  type Cidr,
  cidrContains,
  formatCidr,
  formatIp,
  type Ip,
  isLoopback,
  isUnspecified,
  parseCidr,
  parseIp,
  stripZone,
} from '../../src/base/ip.js';

function mustParseIp(text: string): Ip {
  return parseIp(text) ?? expect.fail(`${text} is no address`);
}

function mustParseCidr(text: string): Cidr {
  return parseCidr(text) ?? expect.fail(`${text} is no CIDR`);
}

describe('an address', () => {
  it.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['127.0.0.1', '127.0.0.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::ffff:a01:203', '10.1.2.3'],
    ['::10.1.2.3', '::a01:203'],
  ])('%s is %s', (text, canonical) => {
    expect(formatIp(mustParseIp(text))).toBe(canonical);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3.4 ',
    '0x1.2.3.4',
    '+1.2.3.4',
    ':',
    ':::',
    '1:::2',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    '1:2:3:4:5:6:7:8::',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '12345::',
    'g::',
    '1.2.3.4::',
    '::1.2.3.4:5',
    'fe80::1%eth0',
    '[::1]',
  ])('%j is none', (text) => {
    expect(parseIp(text)).toBeNull();
  });

  it('is what the system takes for one', () => {
    const characters = fc.string({ unit: fc.constantFrom(...'0129af:.:.'), maxLength: 20 });
    const texts = fc.oneof(characters, fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(texts, (text) => {
        expect(parseIp(text) !== null).toBe(isIPv4(text) || isIPv6(text));
      }),
      { seed: 1, numRuns: 3_000 },
    );
  });

  it('survives being written and read', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const ip = mustParseIp(text);
        expect(parseIp(formatIp(ip))).toEqual(ip);
      }),
      { seed: 1 },
    );
  });

  it('is of this host, or of every one', () => {
    const all = ['127.0.0.1', '127.9.9.9', '::1', '128.0.0.1', '::2', '1::1', '0.0.0.0', '::'];
    const those = (is: (ip: Ip) => boolean) => all.filter((text) => is(mustParseIp(text)));
    expect(those(isLoopback)).toEqual(['127.0.0.1', '127.9.9.9', '::1']);
    expect(those(isUnspecified)).toEqual(['0.0.0.0', '::']);
  });

  it('loses its zone', () => {
    expect(stripZone('fe80::1%eth0')).toBe('fe80::1');
    expect(stripZone('::1')).toBe('::1');
  });
});

describe('a block', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3/32'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.2.3/0', '0.0.0.0/0'],
    ['2001:db8::1/33', '2001:db8::/33'],
    ['::1', '::1/128'],
    ['::/0', '::/0'],
    ['::ffff:10.1.2.3/104', '10.0.0.0/8'],
  ])('%s is %s', (text, canonical) => {
    expect(formatCidr(mustParseCidr(text))).toBe(canonical);
  });

  it.each([
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '::/129',
    '::ffff:10.0.0.0/95',
    '/8',
    'x/8',
    '10.0.0.0/8/8',
  ])('%s is none', (text) => {
    expect(parseCidr(text)).toBeNull();
  });

  it('contains what the system says it contains', () => {
    const address = fc.oneof(
      fc
        .tuple(fc.constantFrom('10.', '11.'), fc.nat(255), fc.nat(255), fc.nat(255))
        .map(([a, b, c, d]) => `${a}${b}.${c}.${d}`),
      fc
        .tuple(fc.constantFrom('2001:', '2002:'), fc.nat(65535), fc.nat(65535))
        .map(([a, b, c]) => `${a}${b.toString(16)}::${c.toString(16)}`),
    );
    fc.assert(
      fc.property(address, address, fc.nat(128), (network, text, bits) => {
        const isV4 = isIPv4(network);
        const prefixBits = isV4 ? bits % 33 : bits;
        const list = new BlockList();
        list.addSubnet(network, prefixBits, isV4 ? 'ipv4' : 'ipv6');
        const cidr = mustParseCidr(`${network}/${prefixBits}`);
        const expected = isV4 === isIPv4(text) && list.check(text, isV4 ? 'ipv4' : 'ipv6');
        expect(cidrContains(cidr, mustParseIp(text))).toBe(expected);
        const map = new CidrMap<boolean>();
        map.set(cidr, true);
        expect(map.find(mustParseIp(text), (value) => value) ?? false).toBe(expected);
      }),
      { seed: 1, numRuns: 1_000 },
    );
  });
});
