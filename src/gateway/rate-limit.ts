/**
 * A token bucket: `count` uses at once, refilled evenly with `count` in `perMs` milliseconds. Time
 * is passed in, from a clock that doesn't go back; where it does, nothing is refilled.
 */
export class RateLimit {
  readonly #count: number;
  readonly #tokensPerMs: number;
  #tokens: number;
  #refilledMs: number;

  constructor(rate: { readonly count: number; readonly perMs: number }, nowMs: number) {
    this.#count = rate.count;
    this.#tokensPerMs = rate.count / rate.perMs;
    this.#tokens = rate.count;
    this.#refilledMs = nowMs;
  }

  /** Takes one use; false, and nothing taken, when there is none. */
  take(nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Milliseconds, rounded up, until the next use is there; 0 when there is one. */
  retryAfterMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens >= 1 ? 0 : Math.ceil((1 - this.#tokens) / this.#tokensPerMs);
  }

  #refill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#refilledMs);
    this.#tokens = Math.min(this.#count, this.#tokens + elapsedMs * this.#tokensPerMs);
    this.#refilledMs = Math.max(nowMs, this.#refilledMs);
  }
}
