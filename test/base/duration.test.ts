import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatDuration, MAX_DURATION_MS, parseDuration } from '../../src/base/duration.js';

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['0s', 0],
])('%s is %d milliseconds', (text, durationMs) => {
  expect(parseDuration(text)).toBe(durationMs);
});

test.each(['', '5', 's', '1.5s', '-1s', '5 m', '5M', '1h30m', '25d', '99999999999s', '٣s'])(
  '"%s" is no duration',
  (text) => {
    expect(parseDuration(text)).toBeNull();
  },
);

test('a duration is written as the shortest text that means the same', () => {
  expect([90_000, 120_000, 1500, 0].map(formatDuration)).toEqual(['90s', '2m', '1500ms', '0s']);
});

test('every whole number of milliseconds survives writing and reading', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), (durationMs) => {
      expect(parseDuration(formatDuration(durationMs))).toBe(durationMs);
    }),
  );
});
