/** Median, smallest and largest of some samples; all null without samples. */
export function summarize(samples) {
  if (samples.length === 0) return { median: null, min: null, max: null };
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
  return { median, min: sorted[0], max: sorted.at(-1) };
}
