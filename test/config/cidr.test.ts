import { expect, test } from 'vitest';
import { formatCidr } from '../../src/base/ip.js';
import { readCidr } from '../../src/config/cidr.js';

test.each([
  ['10.0.0.1', '10.0.0.1/32'],
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:db8::/33', '2001:db8::/33'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
])('"%s" is %s', (text, canonical) => {
  expect(formatCidr(readCidr(text))).toBe(canonical);
});

test.each([
  ['', 'no CIDR'],
  ['10.0.0', 'no CIDR'],
  ['10.0.0.256', 'no CIDR'],
  ['fe80::1%eth0', 'no CIDR'],
  ['::g', 'no CIDR'],
  ['10.0.0.0/8/8', 'no CIDR'],
  ['1.2.3.4/33', 'a number from 0 to 32'],
  ['10.0.0.0/-1', 'a number from 0 to 32'],
  ['::/129', 'a number from 0 to 128'],
  ['::/', 'a number from 0 to 128'],
  ['::ffff:10.0.0.0/8', 'mixes IPv4 and IPv6'],
  ['10.1.2.3/8', 'write 10.0.0.0/8'],
])('"%s" is refused: %s', (text, reason) => {
  expect(() => readCidr(text)).toThrow(reason);
});
