import { setTimeout as delay } from 'node:timers/promises';

/** How long tests wait for what must happen, in milliseconds; longer on machines that are emulated. */
export const PATIENCE_MS = Number(process.env.TEST_PATIENCE_MS ?? 20_000);

export interface WaitOptions {
  /** What is waited for, in words: it stands in the error. */
  readonly what?: string;
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

/**
 * Resolves with the probe's first value that is neither `undefined`, `null` nor `false`.
 * Rejects after `timeoutMs` with what was waited for and the probe's last error.
 */
export async function waitFor<T>(
  probe: () => T | Promise<T>,
  { what = 'the condition', timeoutMs = PATIENCE_MS, everyMs = 10 }: WaitOptions = {},
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<T, undefined | null | false>;
      }
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}`, { cause: lastError });
    }
    await delay(everyMs);
  }
}
