import { describe, expect, it } from 'vitest';
import { ColdStartFigures } from '../../src/supervisor/cold-start-figures.js';

function figuresOf(durationsMs: Iterable<number>) {
  const figures = new ColdStartFigures();
  for (const durationMs of durationsMs) figures.add(durationMs);
  return figures.figures();
}

describe('cold start figures', () => {
  it('are null before the first start', () => {
    expect(figuresOf([])).toEqual({ lastMs: null, p50Ms: null, p99Ms: null });
  });

  it('of one start are that start', () => {
    expect(figuresOf([7])).toEqual({ lastMs: 7, p50Ms: 7, p99Ms: 7 });
  });

  it('are durations that occurred, by nearest rank', () => {
    expect(figuresOf([40, 10, 30, 20])).toEqual({ lastMs: 20, p50Ms: 20, p99Ms: 40 });
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(figuresOf(hundred)).toEqual({ lastMs: 1, p50Ms: 50, p99Ms: 99 });
  });

  it('forget what is older than the last thousand starts', () => {
    const slowThenFast = [...Array(500).fill(9000), ...Array(1000).fill(5)];
    expect(figuresOf(slowThenFast)).toEqual({ lastMs: 5, p50Ms: 5, p99Ms: 5 });
  });
});
