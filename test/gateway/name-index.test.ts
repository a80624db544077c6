import { expect, it } from 'vitest';
import { hashOf, NameIndex } from '../../src/gateway/name-index.js';

function find<Value>(index: NameIndex<Value>, text: string): Value | undefined {
  const bytes = Buffer.from(`x${text}x`, 'latin1');
  return index.find(bytes, 1, bytes.length - 1, hashOf(bytes, 1, bytes.length - 1));
}

it('ten thousand names are each found, by text and by bytes in any case, and no others', () => {
  const index = new NameIndex<number>();
  const names = Array.from({ length: 10_000 }, (_, number) => `host-${number}.example`);
  for (const [number, name] of names.entries()) index.set(name, number);
  expect(index.size).toBe(names.length);
  expect(names.map((name) => index.get(name))).toEqual([...names.keys()]);
  expect(names.map((name) => find(index, name.toUpperCase()))).toEqual([...names.keys()]);
  for (const other of ['', 'host-1', 'host-1.exampl', 'host-1.example.', 'host-10000.example']) {
    expect([index.get(other), find(index, other)]).toEqual([undefined, undefined]);
  }
});

it('a name that is set again has the new value only', () => {
  const index = new NameIndex<string>();
  index.set('a', 'first');
  index.set('b', 'other');
  index.set('A', 'second');
  expect([index.size, index.get('a'), index.get('b')]).toEqual([2, 'second', 'other']);
});
