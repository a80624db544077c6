/** Releases what was acquired, in reverse order, once: each resource has one owner and one release. */
export class Disposer {
  #releases: Array<() => void | Promise<void>> = [];

  /** Adds a release and returns what it is for. */
  add<T>(resource: T, release: (resource: T) => void | Promise<void>): T {
    this.#releases.push(() => release(resource));
    return resource;
  }

  /** Adds a release that is for no value. */
  defer(release: () => void | Promise<void>): void {
    this.#releases.push(release);
  }

  /** Runs every release, the last added first; errors don't stop the others, the first is thrown at the end. */
  async dispose(): Promise<void> {
    const releases = this.#releases.reverse();
    this.#releases = [];
    let failure: unknown;
    for (const release of releases) {
      try {
        await release();
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }
}
