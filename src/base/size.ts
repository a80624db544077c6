const UNITS_BYTES = [
  ['T', 1024 ** 4],
  ['G', 1024 ** 3],
  ['M', 1024 ** 2],
  ['K', 1024],
  ['', 1],
] as const;

/**
 * Bytes of a size such as `64K`, `256M` or `2G` (powers of 1024), or of a plain number.
 *
 * @returns null when the text is no size, or one that a number can't hold exactly.
 */
export function parseSize(text: string): number | null {
  const match = /^(\d{1,16})([KMGT]?)$/.exec(text);
  if (match === null) return null;
  const unit = UNITS_BYTES.find(([name]) => name === match[2]);
  const sizeBytes = Number(match[1]) * (unit?.[1] ?? Number.NaN);
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : null;
}

/** The shortest exact text of a size in whole bytes: `65536` is `64K`. */
export function formatSize(sizeBytes: number): string {
  if (sizeBytes === 0) return '0';
  for (const [name, unitBytes] of UNITS_BYTES) {
    if (sizeBytes % unitBytes === 0) return `${sizeBytes / unitBytes}${name}`;
  }
  return String(Math.round(sizeBytes));
}
