import { SPACE } from '../../byte-classes.js';

/** A field's mark: it is sent on. */
export const KEEP = 0;
export const DROP = 1;
const EMPTY_LINE_BYTES = 2;

/** The fields of a head that lies in `bytes` from `base` to `end`. */
export interface ScannedFields {
  readonly bytes: Buffer;
  readonly base: number;
  readonly end: number;
  /** As `FieldSection` has them. */
  readonly offsets: ArrayLike<number>;
  readonly offsetCount: number;
  /** One for each field. */
  readonly marks: ArrayLike<number>;
}

/** Copies the fields marked `KEEP`, each in one form: `Name: value`. Returns where it stopped writing. */
export function copyFields(
  { bytes, base, end, offsets, offsetCount, marks }: ScannedFields,
  to: Buffer,
  toAt: number,
): number {
  const fieldsEnd = end - EMPTY_LINE_BYTES;
  let at = toAt;
  let runFrom = -1;
  for (let index = 0; index < offsetCount; index += 4) {
    const start = base + (offsets[index] as number);
    const nameEnd = base + (offsets[index + 1] as number);
    const valueStart = base + (offsets[index + 2] as number);
    const valueEnd = base + (offsets[index + 3] as number);
    const next = index + 4 < offsetCount ? base + (offsets[index + 4] as number) : fieldsEnd;
    const isKept = marks[index >> 2] === KEEP;
    const isPlain =
      valueStart === nameEnd + 2 && bytes[nameEnd + 1] === SPACE && next === valueEnd + 2;
    if (isKept && isPlain) {
      if (runFrom < 0) runFrom = start;
      continue;
    }
    if (runFrom >= 0) at += bytes.copy(to, at, runFrom, start);
    runFrom = -1;
    if (!isKept) continue;
    at += bytes.copy(to, at, start, nameEnd);
    at += to.write(': ', at, 'latin1');
    at += bytes.copy(to, at, valueStart, valueEnd);
    at += to.write('\r\n', at, 'latin1');
  }
  if (runFrom >= 0) at += bytes.copy(to, at, runFrom, fieldsEnd);
  return at;
}
