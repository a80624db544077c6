import type { LeaseHolder } from './lease-book.js';

/** setTimeout(3) of Node takes no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A lease that ends by itself, by the wall clock in milliseconds. */
export interface HoldState {
  readonly key: string;
  readonly untilMs: number;
}

/** The clocks of leases that end by themselves. */
export class HoldTimers {
  readonly #holds = new Map<LeaseHolder, { readonly timer: NodeJS.Timeout; untilMs: number }>();

  /** Ends the holder's lease then; null: it has no end of its own any more. */
  set(holder: LeaseHolder, untilMs: number | null, end: () => void): void {
    clearTimeout(this.#holds.get(holder)?.timer);
    this.#holds.delete(holder);
    if (untilMs === null) return;
    const delayMs = Math.min(MAX_TIMER_MS, Math.max(0, untilMs - Date.now()));
    const onTime = () => {
      this.#holds.delete(holder);
      end();
    };
    this.#holds.set(holder, { timer: setTimeout(onTime, delayMs).unref(), untilMs });
  }

  /** They have ended with all other leases. */
  clear(): void {
    for (const { timer } of this.#holds.values()) clearTimeout(timer);
    this.#holds.clear();
  }

  state(): HoldState[] {
    return [...this.#holds].map(([{ key }, { untilMs }]) => ({ key, untilMs }));
  }
}
