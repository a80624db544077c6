import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatSize, parseSize } from '../../src/base/size.js';

test.each([
  ['64K', 65_536],
  ['256M', 268_435_456],
  ['2G', 2_147_483_648],
  ['1T', 1_099_511_627_776],
  ['1000', 1000],
])('%s is %d bytes', (text, sizeBytes) => {
  expect(parseSize(text)).toBe(sizeBytes);
});

test.each(['', 'K', '1.5G', '-1', '1k', '1 K', '1KB', '9999999999999999', '9000000T'])(
  '"%s" is no size',
  (text) => {
    expect(parseSize(text)).toBeNull();
  },
);

test('every whole number of bytes survives writing and reading', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (sizeBytes) => {
      expect(parseSize(formatSize(sizeBytes))).toBe(sizeBytes);
    }),
  );
});
