/** Things that are used again: taken for as long as they are needed, so that idle connections hold none. */
export class FreeList<T> {
  readonly #free: T[] = [];

  constructor(
    private readonly create: () => T,
    private readonly kept: number,
  ) {}

  take(): T {
    return this.#free.pop() ?? this.create();
  }

  give(thing: T): void {
    if (this.#free.length < this.kept) this.#free.push(thing);
  }
}
