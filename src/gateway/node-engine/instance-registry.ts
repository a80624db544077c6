/** What is open to which instance, so that all of it can be closed when the instance goes. */
export class InstanceRegistry {
  readonly #closers = new Map<string, Set<() => void>>();

  /** `close` is called when the instance goes, unless the result was called before. */
  add(service: string, instance: number, close: () => void): () => void {
    const key = keyOf(service, instance);
    let closers = this.#closers.get(key);
    if (closers === undefined) {
      closers = new Set();
      this.#closers.set(key, closers);
    }
    closers.add(close);
    return () => {
      closers.delete(close);
      if (closers.size === 0 && this.#closers.get(key) === closers) this.#closers.delete(key);
    };
  }

  closeAll(service: string, instance: number): void {
    const key = keyOf(service, instance);
    const closers = this.#closers.get(key);
    this.#closers.delete(key);
    for (const close of closers ?? []) close();
  }
}

/** Service names have no spaces. */
function keyOf(service: string, instance: number): string {
  return `${service} ${instance}`;
}
