/** Bounds how many services start at once on this host (`start_parallel`); the others wait in order. */
export class StartQueue {
  #free: number;
  readonly #waiting: Array<() => void> = [];

  constructor(private limit: number) {
    this.#free = limit;
  }

  /** A place among those that start; the function returned gives it back, once. `signal` gives up waiting. */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    let isHeld = true;
    return () => {
      if (isHeld) this.#leave();
      isHeld = false;
    };
  }

  /** Takes effect as places become free. */
  resize(limit: number): void {
    this.#free += limit - this.limit;
    this.limit = limit;
    while (this.#free > 0 && this.#waiting.length > 0) this.#pass();
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = () => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(signal.reason);
      };
      this.#waiting.push(go);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #leave(): void {
    this.#free += 1;
    if (this.#free > 0 && this.#waiting.length > 0) this.#pass();
  }

  #pass(): void {
    this.#free -= 1;
    this.#waiting.shift()?.();
  }
}
