import { readFileSync } from 'node:fs';

/** What POSIX promises at least on Linux, for roots without /proc. */
const FALLBACK_LIMIT = 1024;
const MIN_RESERVE = 24;
const PER_CONNECTION = 2;

/**
 * Counts connections against the process's descriptor limit. libuv answers EMFILE by accepting and
 * dropping whatever waits, without a word; so the engine stops before that, and says so.
 */
export class DescriptorBudget {
  readonly #limit: number;
  #open = 0;

  constructor(descriptorLimit?: number) {
    this.#limit = connectionLimit(descriptorLimit);
  }

  /** False: the connection is to be refused at once; it isn't counted. */
  take(): boolean {
    if (this.#open >= this.#limit) return false;
    this.#open += 1;
    return true;
  }

  give(): void {
    this.#open -= 1;
  }
}

/** How many connections a descriptor limit (default: this process's) is enough for. */
export function connectionLimit(descriptorLimit: number = softLimit()): number {
  const reserve = Math.max(MIN_RESERVE, Math.ceil(descriptorLimit / 8));
  return Math.max(1, Math.floor((descriptorLimit - reserve) / PER_CONNECTION));
}

function softLimit(): number {
  try {
    const text = readFileSync('/proc/self/limits', 'latin1');
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(text)?.[1];
    return soft === 'unlimited' ? 2 ** 30 : Number(soft ?? FALLBACK_LIMIT);
  } catch {
    return FALLBACK_LIMIT;
  }
}
