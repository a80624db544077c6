import { describe, expect, it } from 'vitest';
import { SourceLimits } from '../../src/gateway/source-limits.js';

describe('a limit per source', () => {
  it('counts each source on its own, and lets it in again when one is closed', () => {
    const limits = new SourceLimits();
    expect([1, 2, 3].map(() => limits.tryOpen('10.0.0.1', 2))).toEqual([true, true, false]);
    expect(limits.tryOpen('10.0.0.2', 2)).toBe(true);
    limits.close('10.0.0.1');
    expect(limits.tryOpen('10.0.0.1', 2)).toBe(true);
    expect(limits.tryOpen('10.0.0.1', 2)).toBe(false);
  });

  it('knows a source in every way of writing it', () => {
    const limits = new SourceLimits();
    expect(limits.tryOpen('10.0.0.1', 1)).toBe(true);
    expect(limits.tryOpen('::ffff:10.0.0.1', 1)).toBe(false);
    limits.close('::ffff:10.0.0.1');
    expect(limits.tryOpen('10.0.0.1', 1)).toBe(true);
  });

  it('remembers nobody who has nothing open', () => {
    const limits = new SourceLimits();
    for (let host = 0; host < 100; host++) limits.tryOpen(`10.0.0.${host}`, 1);
    expect(limits.size).toBe(100);
    for (let host = 0; host < 100; host++) limits.close(`10.0.0.${host}`);
    expect(limits.size).toBe(0);
    limits.close('10.0.0.1');
    expect(limits.size).toBe(0);
  });

  it('does not concern clients of Unix sockets', () => {
    const limits = new SourceLimits();
    expect([1, 2].map(() => limits.tryOpen('unix:', 1))).toEqual([true, true]);
    limits.close('unix:');
    expect(limits.size).toBe(0);
  });
});
