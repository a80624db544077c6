/**
 * Counts work that must not be broken off. Who wants to replace this process closes it, so that no
 * more is begun of what can wait, and waits until nothing is under way.
 */
export class Underway {
  #count = 0;
  #isClosed = false;
  readonly #onIdle = new Set<() => void>();
  readonly #onOpen = new Set<() => void>();

  /** What can wait isn't begun now. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Counts it until it has settled; returns it. Also while this is closed: it can't wait. */
  track<T>(work: Promise<T>): Promise<T> {
    this.#count += 1;
    const end = () => {
      this.#count -= 1;
      if (this.#count === 0) for (const resume of [...this.#onIdle]) resume();
    };
    work.then(end, end);
    return work;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** What has waited begins. */
  open(): void {
    this.#isClosed = false;
    for (const begin of this.#onOpen) begin();
  }

  /** Calls back each time this is opened again. */
  onOpen(begin: () => void): void {
    this.#onOpen.add(begin);
  }

  /**
   * Resolves with true when nothing is under way, what follows at once from what was included; with
   * false at the signal.
   */
  async settled(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (this.#count > 0) await this.#idle(signal);
      else {
        await new Promise((resolve) => setImmediate(resolve));
        if (this.#count === 0) return true;
      }
    }
    return false;
  }

  #idle(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        this.#onIdle.delete(resume);
        signal.removeEventListener('abort', resume);
        resolve();
      };
      this.#onIdle.add(resume);
      signal.addEventListener('abort', resume, { once: true });
    });
  }
}
