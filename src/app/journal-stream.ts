import { fstatSync } from 'node:fs';

/** Whether standard error leads to the journal: systemd says so by JOURNAL_STREAM (systemd.exec(5)). */
export function isJournalOnStderr({ JOURNAL_STREAM }: NodeJS.ProcessEnv): boolean {
  if (!JOURNAL_STREAM) return false;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    return JOURNAL_STREAM === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
