/** Beats in a row that a thread may leave unanswered. */
const MAX_MISSED = 5;
/** As long as it has never answered: its program has to be loaded first. */
const MAX_MISSED_AT_START = 15;

/**
 * Whether one thread of another process still turns: it is asked for a sign of life, and the next
 * beats count how long it owes one. An idle thread answers, a hung one (stopped, in an endless loop)
 * doesn't.
 */
export class Pulse {
  #isAsked = false;
  #missed = 0;
  #limit = MAX_MISSED_AT_START;

  constructor(private readonly ask: () => void) {}

  /** Asks, unless an answer is due yet. `counts` false: it may not have had the time to answer, so nothing is held against it. */
  beat(counts: boolean): void {
    if (this.#isAsked) this.#missed += counts ? 1 : 0;
    else this.ask();
    this.#isAsked = true;
  }

  answer(): void {
    this.#isAsked = false;
    this.#missed = 0;
    this.#limit = MAX_MISSED;
  }

  get isHung(): boolean {
    return this.#missed >= this.#limit;
  }
}
