import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cidrContains, formatCidr, formatIp, parseCidr, parseIp } from '../../src/config/ip.js';

test('every address survives writing and reading, and lies in the blocks that hold it', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(address, fc.nat(), (text, seed) => {
      const ip = parseIp(text);
      if (ip === null) throw new Error(`${text} was refused`);
      expect(parseIp(formatIp(ip))).toEqual(ip);
      const bits = ip.family === 4 ? 32 : 128;
      const prefix = seed % (bits + 1);
      const hostBits = BigInt(bits - prefix);
      const network = { family: ip.family, value: (ip.value >> hostBits) << hostBits };
      const cidr = parseCidr(formatCidr({ ip: network, prefix }));
      expect(cidrContains(cidr, ip)).toBe(true);
    }),
  );
});

test.each([
  '',
  '10.0.0',
  '10.0.0.256',
  '1',
  'fe80::1%eth0',
  '::g',
  '1.2.3.4/33',
  '::/129',
  '::/',
  '10.0.0.0/8/8',
  '10.0.0.0/-1',
])('"%s" is no CIDR', (text) => {
  expect(() => parseCidr(text)).toThrow();
});

test('a block holds no address of the other family and none beside it', () => {
  const inBlock = (cidr: string, text: string) => {
    const ip = parseIp(text);
    return ip !== null && cidrContains(parseCidr(cidr), ip);
  };
  expect(inBlock('10.0.0.0/8', '11.0.0.0')).toBe(false);
  expect(inBlock('::/0', '10.0.0.1')).toBe(false);
  expect(inBlock('0.0.0.0/0', '::1')).toBe(false);
});
