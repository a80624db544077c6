const MICROSECONDS = 1000;

/** Times of exchanges: all of them, so that no quantile is a guess. */
export class Latencies {
  #micros = new Float64Array(65_536);
  #count = 0;

  add(milliseconds) {
    if (this.#count === this.#micros.length) {
      const larger = new Float64Array(this.#count * 2);
      larger.set(this.#micros);
      this.#micros = larger;
    }
    this.#micros[this.#count] = milliseconds * MICROSECONDS;
    this.#count += 1;
  }

  /** `{ count, p50Micros, p99Micros }`; quantiles by nearest rank, null without samples. */
  summarize() {
    const sorted = this.#micros.subarray(0, this.#count).sort();
    const rank = (share) => sorted[Math.max(0, Math.ceil(share * this.#count) - 1)] ?? null;
    return { count: this.#count, p50Micros: rank(0.5), p99Micros: rank(0.99) };
  }
}
