/** Bulk bytes repeat after a length that no buffer or pipe has: lost and swapped pieces are seen. */
export const PATTERN_BYTES = 1_048_573;

/** Fills `bytes` with the pattern, again and again, and returns them. */
export function fillPattern(bytes) {
  let state = 12_345;
  for (let index = 0; index < bytes.length; index += 1) {
    if (index % PATTERN_BYTES === 0) state = 12_345;
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}
