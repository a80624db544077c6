import { addToNameHash, lowerCase, NAME_HASH_START } from './host-name.js';

const FIRST_SLOTS = 16;
const FIRST_BYTES = 256;

/**
 * Values by name (ASCII, in lower case): found by a text, or by bytes in any case without a text
 * being made of them. A name costs its bytes and some 20 more.
 */
export class NameIndex<Value> {
  readonly #values: Value[] = [];
  /** By value: where its name begins in `#bytes`; the next one's beginning is its end. */
  readonly #starts: number[] = [0];
  readonly #hashes: number[] = [];
  #bytes = new Uint8Array(FIRST_BYTES);
  /** Open addressing: an index into `#values` plus one; 0: free. At most half of them are in use. */
  #slots = new Int32Array(FIRST_SLOTS);

  get size(): number {
    return this.#values.length;
  }

  get(name: string): Value | undefined {
    const bytes = Buffer.from(name, 'latin1');
    return this.find(bytes, 0, bytes.length, hashOf(bytes, 0, bytes.length));
  }

  set(name: string, value: Value): void {
    const bytes = Buffer.from(name.toLowerCase(), 'latin1');
    const hash = hashOf(bytes, 0, bytes.length);
    const known = this.#findIndex(bytes, 0, bytes.length, hash);
    if (known >= 0) this.#values[known] = value;
    else this.#add(bytes, hash, value);
  }

  /** `hash`: of the name's bytes (`hashOf`). */
  find(bytes: Uint8Array, start: number, end: number, hash: number): Value | undefined {
    const index = this.#findIndex(bytes, start, end, hash);
    return index < 0 ? undefined : this.#values[index];
  }

  #findIndex(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const index = (this.#slots[slot] as number) - 1;
      if (index < 0) return -1;
      if (this.#hashes[index] === hash && this.#isName(index, bytes, start, end)) return index;
    }
  }

  #isName(index: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.#starts[index] as number;
    if ((this.#starts[index + 1] as number) - from !== end - start) return false;
    for (let at = start; at < end; at += 1) {
      if (this.#bytes[from + at - start] !== lowerCase(bytes[at] as number)) return false;
    }
    return true;
  }

  #add(name: Uint8Array, hash: number, value: Value): void {
    const from = this.#starts[this.#values.length] as number;
    this.#bytes = withRoomFor(this.#bytes, from + name.length);
    this.#bytes.set(name, from);
    this.#starts.push(from + name.length);
    this.#hashes.push(hash);
    this.#values.push(value);
    if (this.#values.length * 2 > this.#slots.length) this.#spread();
    else this.#occupy(this.#values.length - 1);
  }

  #spread(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (const index of this.#values.keys()) this.#occupy(index);
  }

  #occupy(index: number): void {
    const mask = this.#slots.length - 1;
    let slot = (this.#hashes[index] as number) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = index + 1;
  }
}

/** A hash of a name's bytes without regard to case. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = NAME_HASH_START;
  for (let at = start; at < end; at += 1)
    hash = addToNameHash(hash, lowerCase(bytes[at] as number));
  return hash;
}

function withRoomFor(bytes: Uint8Array<ArrayBuffer>, wanted: number): Uint8Array<ArrayBuffer> {
  if (wanted <= bytes.length) return bytes;
  const grown = new Uint8Array(Math.max(wanted, bytes.length * 2));
  grown.set(bytes);
  return grown;
}
