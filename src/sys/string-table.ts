import { NativeMemory } from './libc.js';

/** A NULL-terminated array of C strings, as execve(2) takes it, in one block. */
export function stringTable(strings: readonly string[]): NativeMemory {
  const encoded = strings.map((text) => Buffer.from(`${text}\0`));
  const tableBytes = 8 * (strings.length + 1);
  const memory = new NativeMemory(
    tableBytes + encoded.reduce((sum, { length }) => sum + length, 0),
  );
  let offset = tableBytes;
  for (const [index, text] of encoded.entries()) {
    memory.bytes.writeBigUInt64LE(memory.address + BigInt(offset), index * 8);
    text.copy(memory.bytes, offset);
    offset += text.length;
  }
  return memory;
}
