const FIRST_BYTES = 512;

/** Bytes that wait for those that follow them. Whoever appends keeps it within a bound. */
export class ByteStore {
  #buffer = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was appended; valid until the next `append` or `clear`. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  append(bytes: Uint8Array, from: number, to: number): void {
    const length = this.#length + to - from;
    if (length > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(FIRST_BYTES, length, 2 * this.#buffer.length));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes.subarray(from, to), this.#length);
    this.#length = length;
  }

  /** Forgets the bytes, and leaves the memory to those who still hold some. */
  clear(): void {
    if (this.#length > 0) this.#buffer = Buffer.alloc(0);
    this.#length = 0;
  }
}
