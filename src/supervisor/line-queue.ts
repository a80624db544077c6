/** Lines on their way to one slow reader; what exceeds the limit is left out and counted. */
export class LineQueue {
  #lines: string[] = [];
  #length = 0;
  #omitted = 0;
  #isEnded = false;
  #wake: () => void = () => {};

  /** `limitLength`: in characters, of all waiting lines together. */
  constructor(private readonly limitLength: number) {}

  readonly add = (line: string): void => {
    if (this.#length + line.length > this.limitLength) this.#omitted += 1;
    else {
      this.#lines.push(line);
      this.#length += line.length;
    }
    this.#wake();
  };

  /** No more lines come; those that wait are still read. */
  readonly end = (): void => {
    this.#isEnded = true;
    this.#wake();
  };

  /** The lines as they come, until the end. */
  async *lines(): AsyncGenerator<string, void, undefined> {
    for (;;) {
      yield* this.#take();
      if (this.#lines.length > 0) continue;
      if (this.#isEnded) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(): string[] {
    const lines = this.#lines;
    if (this.#omitted > 0) lines.push(`(${this.#omitted} lines left out: the reader is too slow)`);
    this.#lines = [];
    this.#length = 0;
    this.#omitted = 0;
    return lines;
  }
}
