export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Share of the delay that is random, 0 to 1: spreads out what failed together. */
  readonly jitter: number;
  readonly random?: () => number;
}

/** Exponential delays with jitter: twice as long after every failure, back to the first after a success. */
export class Backoff {
  #failures = 0;

  constructor(private readonly options: BackoffOptions) {}

  get failures(): number {
    return this.#failures;
  }

  /** Counts a failure and returns how many milliseconds to wait before the next try. */
  next(): number {
    const { firstMs, maxMs, jitter, random = Math.random } = this.options;
    const delayMs = Math.min(maxMs, firstMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return Math.round(delayMs * (1 - jitter * random()));
  }

  /** Goes on where another one was after so many failures. */
  restore(failures: number): void {
    this.#failures = failures;
  }

  reset(): void {
    this.#failures = 0;
  }
}
