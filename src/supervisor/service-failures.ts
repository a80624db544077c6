import { Backoff } from '../base/backoff.js';
import type { Failure, ServiceState } from '../ipc/admin-api.js';
import { Refusal } from '../ipc/refusals.js';

/** An instance that ran this long was well: the next crash starts the backoff anew. */
const HEALTHY_MS = 10_000;
const BACKOFF = { firstMs: 250, maxMs: 60_000, jitter: 0.25 };

/** What a successor of this process needs to go on with a backoff. */
export interface FailureState {
  readonly count: number;
  /** In a row, as the backoff counts them. */
  readonly inRow: number;
  /** By the wall clock. */
  readonly retryAtMs: number;
  readonly last: Failure | null;
}

/** How a service failed, and when it may be tried again. */
export class ServiceFailures {
  readonly #backoff = new Backoff(BACKOFF);
  #retryAtMs = 0;
  #last: Failure | null = null;
  count = 0;

  /** `recentOutput`: the last lines that the service printed. */
  constructor(private readonly recentOutput: () => readonly string[]) {}

  get last(): Failure | null {
    return this.#last;
  }

  get isBackoffOver(): boolean {
    return this.#retryAtMs <= Date.now();
  }

  /** Something went wrong; the state table says whether that is a failure. */
  note(reason: string): void {
    this.#last = { reason, retryAt: null, output: this.recentOutput() };
  }

  /** It is one. The first crash of an instance that was ready (since when, else null) costs no wait: the next demand starts it again at once. */
  arm(readyAtMs: number | null, reason: string): void {
    this.count += 1;
    const nowMs = Date.now();
    if (readyAtMs !== null && nowMs - readyAtMs >= HEALTHY_MS) this.#backoff.reset();
    const isFree = readyAtMs !== null && this.#backoff.failures === 0;
    const delayMs = this.#backoff.next();
    this.#retryAtMs = nowMs + (isFree ? 0 : delayMs);
    this.#last = {
      reason: this.#last?.reason ?? reason,
      retryAt: new Date(this.#retryAtMs).toISOString(),
      output: this.recentOutput(),
    };
  }

  state(): FailureState {
    const { count } = this;
    const inRow = this.#backoff.failures;
    return { count, inRow, retryAtMs: this.#retryAtMs, last: this.#last };
  }

  restore({ count, inRow, retryAtMs, last }: FailureState): void {
    this.count = count;
    this.#backoff.restore(inRow);
    this.#retryAtMs = retryAtMs;
    this.#last = last;
  }

  /** It ran, and stopped as it was told to. */
  reset(): void {
    this.#backoff.reset();
  }

  /** What those are told who asked, when the state was `from`. */
  refusal(state: ServiceState, from: ServiceState): Refusal {
    if (state === 'stopping') return new Refusal('stopping');
    const reason = this.#last?.reason ?? 'it failed';
    const waitMs = Math.max(0, this.#retryAtMs - Date.now());
    return from === 'failed'
      ? new Refusal('backoff', waitMs, reason)
      : new Refusal('start-failed', waitMs || BACKOFF.firstMs, reason);
  }
}
