/** The value that `percent` % of the samples don't exceed (nearest rank); null without samples. */
export function percentile(samples, percent) {
  if (samples.length === 0) return null;
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  return sorted[rank - 1];
}
