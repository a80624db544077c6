/** A time as a person wants it (`12s`, `3m`, `2h`, `5d` ago) on a terminal, ISO 8601 otherwise. */
export function renderTime(iso: string, now: Date, relative: boolean): string {
  if (!relative) return iso;
  return renderAge(Math.max(0, now.getTime() - Date.parse(iso)));
}

/** A duration in its largest whole unit. */
export function renderAge(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** `in 15s` or `now` on a terminal, `at TIME` otherwise. */
export function renderDeadline(iso: string, now: Date, relative: boolean): string {
  if (!relative) return `at ${iso}`;
  const leftMs = Date.parse(iso) - now.getTime();
  return leftMs <= 0 ? 'now' : `in ${renderAge(leftMs + 999)}`;
}

/** Milliseconds as `41 ms` or `1.5 s`. */
export function renderMs(durationMs: number): string {
  if (durationMs >= 1000) return `${(durationMs / 1000).toFixed(1)} s`;
  return `${durationMs < 10 ? Number(durationMs.toFixed(1)) : Math.round(durationMs)} ms`;
}
