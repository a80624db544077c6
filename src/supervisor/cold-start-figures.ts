const REMEMBERED = 1000;

/** How long a service's last 1,000 cold starts took, in milliseconds; null where there was none yet. */
export class ColdStartFigures {
  readonly #durationsMs: number[] = [];
  #next = 0;
  #lastMs: number | null = null;

  /** Counts a cold start: from the demand to readiness. */
  add(durationMs: number): void {
    this.#durationsMs[this.#next] = durationMs;
    this.#next = (this.#next + 1) % REMEMBERED;
    this.#lastMs = durationMs;
  }

  /** The latest so many, oldest first, in milliseconds. */
  latest(count: number): number[] {
    const inOrder = [
      ...this.#durationsMs.slice(this.#next),
      ...this.#durationsMs.slice(0, this.#next),
    ];
    return inOrder.slice(-count);
  }

  /** Percentiles by nearest rank, so each is a duration that really occurred. */
  figures(): { lastMs: number | null; p50Ms: number | null; p99Ms: number | null } {
    const sorted = this.#durationsMs.toSorted((a, b) => a - b);
    return { lastMs: this.#lastMs, p50Ms: nearestRank(sorted, 50), p99Ms: nearestRank(sorted, 99) };
  }
}

function nearestRank(sorted: readonly number[], percent: number): number | null {
  return sorted[Math.ceil((percent * sorted.length) / 100) - 1] ?? null;
}
