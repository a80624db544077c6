import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateLimit } from '../../src/gateway/rate-limit.js';

describe('a rate of 3 in 300 ms', () => {
  it('lets three through at once, then one each 100 ms', () => {
    const limit = new RateLimit({ count: 3, perMs: 300 }, 1_000);
    expect([1, 2, 3, 4].map(() => limit.take(1_000))).toEqual([true, true, true, false]);
    expect(limit.retryAfterMs(1_000)).toBe(100);
    expect(limit.take(1_099)).toBe(false);
    expect(limit.retryAfterMs(1_100)).toBe(0);
    expect(limit.take(1_100)).toBe(true);
    expect(limit.take(1_100)).toBe(false);
  });

  it('saves up no more than three', () => {
    const limit = new RateLimit({ count: 3, perMs: 300 }, 0);
    expect([1, 2, 3, 4].map(() => limit.take(1_000_000))).toEqual([true, true, true, false]);
  });

  it('gives nothing for a clock that goes back', () => {
    const limit = new RateLimit({ count: 1, perMs: 100 }, 1_000);
    expect(limit.take(1_000)).toBe(true);
    expect(limit.take(500)).toBe(false);
    expect(limit.take(1_050)).toBe(false);
    expect(limit.take(1_100)).toBe(true);
  });
});

it('in any period no more pass than the burst and what was refilled', () => {
  const rate = { count: 5, perMs: 100 };
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 50 }), { maxLength: 200 }), (gapsMs) => {
      const limit = new RateLimit(rate, 0);
      let nowMs = 0;
      let passed = 0;
      for (const gapMs of gapsMs) {
        nowMs += gapMs;
        if (limit.take(nowMs)) passed += 1;
      }
      expect(passed).toBeLessThanOrEqual(rate.count + (nowMs * rate.count) / rate.perMs);
    }),
    { seed: 1 },
  );
});
