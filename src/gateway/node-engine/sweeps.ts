const SHORTEST_PERIOD_MS = 50;
const LONGEST_PERIOD_MS = 30_000;

/** Is called with the monotonic clock, in milliseconds, as long as it is watched. */
export type Check = (nowMs: number) => void;

interface Sweep {
  readonly checks: Set<Check>;
  timer: NodeJS.Timeout | null;
}

/**
 * Coarse timers that any number of connections share: a connection costs a set entry, not a timer
 * that is moved with every byte. A check runs four times within the duration that it is about.
 */
export class Sweeps {
  readonly #sweeps = new Map<number, Sweep>();

  /** Runs `check` every quarter of `durationMs` (between 50 ms and 30 s) until the result is called. */
  watch(durationMs: number, check: Check): () => void {
    const periodMs = Math.min(LONGEST_PERIOD_MS, Math.max(SHORTEST_PERIOD_MS, durationMs / 4));
    const sweep = this.#sweepOf(Math.round(periodMs));
    sweep.checks.add(check);
    return () => {
      sweep.checks.delete(check);
      if (sweep.checks.size > 0 || sweep.timer === null) return;
      clearInterval(sweep.timer);
      sweep.timer = null;
    };
  }

  #sweepOf(periodMs: number): Sweep {
    let sweep = this.#sweeps.get(periodMs);
    if (sweep === undefined) {
      sweep = { checks: new Set(), timer: null };
      this.#sweeps.set(periodMs, sweep);
    }
    const { checks } = sweep;
    sweep.timer ??= setInterval(() => {
      const nowMs = performance.now();
      for (const check of checks) check(nowMs);
    }, periodMs).unref();
    return sweep;
  }
}
