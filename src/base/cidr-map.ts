import { type Cidr, type Ip, maskWords } from './ip.js';

/**
 * Values by block of addresses. A look-up costs one map access for each prefix length in use,
 * however many blocks there are.
 */
export class CidrMap<T> {
  readonly #byFamily = { 4: new PrefixMaps<T>(), 6: new PrefixMaps<T>() };

  /** The value of exactly this block. */
  get(cidr: Cidr): T | undefined {
    return this.#byFamily[cidr.ip.family].get(cidr);
  }

  set(cidr: Cidr, value: T): void {
    this.#byFamily[cidr.ip.family].set(cidr, value);
  }

  /** Of the blocks that contain the address, from the longest prefix on, the first that `select` takes. */
  find<R>(ip: Ip, select: (value: T) => R | null): R | null {
    return this.#byFamily[ip.family].find(ip, select);
  }
}

class PrefixMaps<T> {
  /** Longest prefix first. */
  readonly #levels: Array<{ readonly prefixBits: number; readonly values: Map<unknown, T> }> = [];

  get(cidr: Cidr): T | undefined {
    const level = this.#levels.find(({ prefixBits }) => prefixBits === cidr.prefixBits);
    return level?.values.get(keyOf(cidr.ip, cidr.prefixBits));
  }

  set(cidr: Cidr, value: T): void {
    let level = this.#levels.find(({ prefixBits }) => prefixBits === cidr.prefixBits);
    if (level === undefined) {
      level = { prefixBits: cidr.prefixBits, values: new Map() };
      this.#levels.push(level);
      this.#levels.sort((a, b) => b.prefixBits - a.prefixBits);
    }
    level.values.set(keyOf(cidr.ip, cidr.prefixBits), value);
  }

  find<R>(ip: Ip, select: (value: T) => R | null): R | null {
    for (const { prefixBits, values } of this.#levels) {
      const value = values.get(keyOf(ip, prefixBits));
      if (value === undefined) continue;
      const selected = select(value);
      if (selected !== null) return selected;
    }
    return null;
  }
}

function keyOf(ip: Ip, prefixBits: number): unknown {
  if (ip.family === 6) return maskWords(ip.words, prefixBits).join();
  return prefixBits === 0 ? 0 : ((ip.words[0] as number) & (0xffffffff << (32 - prefixBits))) >>> 0;
}
