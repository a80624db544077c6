import { COLON, CR, LF, SPACE } from '../../byte-classes.js';
import type { FieldTable } from '../../request-head.js';
import { bytes, move } from './memory.js';

const EMPTY_LINE_BYTES = 2;
/** Of a body without a length, in either direction. */
export const CHUNKED_LINE = Buffer.from('Transfer-Encoding: chunked\r\n');
/** Kinds that a field may have (field-names.ts), and one for those that are dropped in any case. */
const KINDS = 32;
export const DROPPED = KINDS - 1;

/** Which kinds of fields aren't sent on. */
export function dropping(...kinds: readonly number[]): Uint8Array {
  const dropped = new Uint8Array(KINDS);
  for (const kind of [...kinds, DROPPED]) dropped[kind] = 1;
  return dropped;
}

/**
 * Copies the fields of a head that lies in the memory from `base` to `end` to `at`, each in one form,
 * `Name: value`, and returns where it stopped writing. `from`: what lies between there and the first
 * field goes with it; -1: nothing does.
 */
export function copyFields(
  base: number,
  end: number,
  { offsets, offsetCount, kinds }: FieldTable,
  dropped: Uint8Array,
  from: number,
  at: number,
): number {
  const fieldsEnd = end - EMPTY_LINE_BYTES;
  let to = at;
  let runFrom = from;
  for (let index = 0; index < offsetCount; index += 4) {
    const start = base + (offsets[index] as number);
    const isKept = dropped[kinds[index >> 2] as number] === 0;
    const next = index + 4 < offsetCount ? base + (offsets[index + 4] as number) : fieldsEnd;
    if (isKept && isPlain(base, offsets, index, next)) {
      if (runFrom < 0) runFrom = start;
      continue;
    }
    if (runFrom >= 0) to = move(runFrom, start, to);
    runFrom = -1;
    if (isKept) to = copyInOneForm(base, offsets, index, to);
  }
  return runFrom < 0 ? to : move(runFrom, fieldsEnd, to);
}

/** Whether one space and nothing else stands around the value. */
function isPlain(base: number, offsets: ArrayLike<number>, index: number, next: number): boolean {
  const nameEnd = base + (offsets[index + 1] as number);
  const valueStart = base + (offsets[index + 2] as number);
  const valueEnd = base + (offsets[index + 3] as number);
  return valueStart === nameEnd + 2 && bytes[nameEnd + 1] === SPACE && next === valueEnd + 2;
}

function copyInOneForm(
  base: number,
  offsets: ArrayLike<number>,
  index: number,
  at: number,
): number {
  let to = move(base + (offsets[index] as number), base + (offsets[index + 1] as number), at);
  bytes[to] = COLON;
  bytes[to + 1] = SPACE;
  to = move(base + (offsets[index + 2] as number), base + (offsets[index + 3] as number), to + 2);
  return endLine(to);
}

export function endLine(at: number): number {
  bytes[at] = CR;
  bytes[at + 1] = LF;
  return at + 2;
}
