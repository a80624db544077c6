import type { Underway } from '../base/underway.js';

/** Bounds how many services start at once on this host (`start_parallel`); the others wait in order. */
export class StartQueue {
  #free: number;
  readonly #waiting: Array<() => void> = [];

  /** `underway`: while it is closed nobody else starts. */
  constructor(
    private limit: number,
    private readonly underway: Underway,
  ) {
    this.#free = limit;
    underway.onOpen(() => this.#passSome());
  }

  /** A place among those that start; the function returned gives it back, once. `signal` gives up waiting. */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0 && !this.underway.isClosed) this.#free -= 1;
    else await this.#wait(signal);
    return this.#place();
  }

  /** A place for who has begun to start already, though there may be none. */
  enterAtOnce(): () => void {
    this.#free -= 1;
    return this.#place();
  }

  #place(): () => void {
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
    this.#passSome();
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
    this.#passSome();
  }

  #passSome(): void {
    while (this.#free > 0 && this.#waiting.length > 0 && !this.underway.isClosed) {
      this.#free -= 1;
      this.#waiting.shift()?.();
    }
  }
}
