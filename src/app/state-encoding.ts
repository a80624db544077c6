import { deserialize, serialize } from 'node:v8';

/** As it travels: structured clones (v8.serialize) keep maps, bytes and infinities. */
export function encodeState(state: object): Buffer {
  return serialize(state);
}

export function decodeState(bytes: Buffer): unknown {
  return deserialize(bytes);
}

/** Every descriptor in a state: by their names, which end in `fd` or `fds` (`readFd`, `passed.fds`). */
export function descriptorsIn(state: unknown): number[] {
  const found = new Set<number>();
  const visit = (name: string, value: unknown): void => {
    if (typeof value === 'number') {
      if (/(^fds?|Fds?)$/.test(name)) found.add(value);
    } else if (value instanceof Map) {
      for (const [key, part] of value) visit(String(key), part);
    } else if (Array.isArray(value)) {
      for (const part of value) visit(name, part);
    } else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
      for (const [key, part] of Object.entries(value)) visit(key, part);
    }
  };
  visit('', state);
  return [...found];
}
