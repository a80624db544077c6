/** setTimeout takes no more: 2^31 - 1 milliseconds, a little less than 25 days. */
export const MAX_DURATION_MS = 2 ** 31 - 1;

const UNITS_MS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/**
 * Milliseconds of a duration such as `500ms`, `30s`, `5m`, `2h` or `1d`.
 *
 * @returns null when the text is no duration, or one longer than {@link MAX_DURATION_MS}.
 */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,10})(ms|s|m|h|d)$/.exec(text);
  if (match === null) return null;
  const unit = UNITS_MS.find(([name]) => name === match[2]);
  const durationMs = Number(match[1]) * (unit?.[1] ?? Number.NaN);
  return durationMs <= MAX_DURATION_MS ? durationMs : null;
}

/** The shortest exact text of a duration in whole milliseconds: `90000` is `90s`, `120000` is `2m`. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0s';
  for (const [name, unitMs] of UNITS_MS) {
    if (durationMs % unitMs === 0) return `${durationMs / unitMs}${name}`;
  }
  return `${Math.round(durationMs)}ms`;
}
