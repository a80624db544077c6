import { Journal } from '../sys/journal.js';
import { isJournalOnStderr } from './journal-stream.js';

/** How rouse logs: lines of JSON, lines for a person, or entries of systemd's journal. */
export type LogFormat = 'json' | 'readable' | 'journal';

export interface LogChoice {
  readonly format: LogFormat;
  /** Open where `format` is `journal`. */
  readonly journal: Journal | null;
}

/**
 * What was asked for; else what a person reads on a terminal, entries where standard error leads to
 * the journal anyway, and JSON. Throws a `SystemError` where the journal was asked for and isn't there.
 */
export function chooseLog(
  asked: LogFormat | undefined,
  isTerminal: boolean,
  env: NodeJS.ProcessEnv,
): LogChoice {
  if (asked === 'journal') return { format: asked, journal: Journal.open() };
  if (asked !== undefined) return { format: asked, journal: null };
  if (isTerminal) return { format: 'readable', journal: null };
  const journal = isJournalOnStderr(env) ? openJournal() : null;
  return { format: journal === null ? 'json' : 'journal', journal };
}

function openJournal(): Journal | null {
  try {
    return Journal.open();
  } catch {
    return null;
  }
}
