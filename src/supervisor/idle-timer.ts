import type { IdleDue } from './idle-clock.js';

/** setTimeout(3) of Node takes no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The one timer of a service that nobody uses: for what is due next. */
export class IdleTimer {
  #timer: NodeJS.Timeout | null = null;
  #lastLook: NodeJS.Immediate | null = null;

  /**
   * `nextDue` is asked now, and again after a wait that was too long for one timer. `onDue` follows
   * after what had come in by then was read: an acquire or a hold that is on its way still cancels it.
   */
  constructor(
    private readonly nextDue: () => IdleDue | null,
    private readonly onDue: (event: IdleDue['event']) => void,
  ) {}

  arm(): void {
    this.cancel();
    const due = this.nextDue();
    if (!due) return;
    const delayMs = Math.min(MAX_TIMER_MS, Math.max(0, due.atMs - Date.now()));
    this.#timer = setTimeout(() => {
      if (delayMs === MAX_TIMER_MS) this.arm();
      // Of a turn of the loop, immediates come after what is read.
      else this.#lastLook = setImmediate(() => this.onDue(due.event));
    }, delayMs);
  }

  cancel(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#lastLook) clearImmediate(this.#lastLook);
    this.#timer = null;
    this.#lastLook = null;
  }
}
