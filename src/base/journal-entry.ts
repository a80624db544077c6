import { printable } from './printable.js';
import { type LogEntry, sentenceOf } from './readable-line.js';

/** A journal entry's fields, by name as systemd.journal-fields(7) has them. */
export type JournalFields = Readonly<Record<string, string | undefined>>;

/** syslog(3) priorities of pino's levels. */
const PRIORITIES: Readonly<Record<string, string>> = {
  fatal: '2',
  error: '3',
  warn: '4',
  info: '6',
  debug: '7',
  trace: '7',
};
/** What has a field of the journal's own, or says nothing there. */
const LEFT_OUT = new Set(['level', 'time', 'pid', 'hostname', 'name', 'msg', 'err']);
/** Names that mean something else to the journal's readers. */
const TAKEN = new Set(['MESSAGE', 'PRIORITY', 'SYSLOG_IDENTIFIER']);
const MAX_NAME_LENGTH = 64;

/** A log entry as pino wrote it, as fields: `service` is SERVICE, `idleMs` is IDLE_MS. */
export function journalFieldsOf(entry: LogEntry): JournalFields {
  const fields: Record<string, string | undefined> = {
    MESSAGE: printable(messageOf(entry)),
    PRIORITY: PRIORITIES[String(entry.level)] ?? '6',
    SYSLOG_IDENTIFIER: 'rouse',
    COMPONENT: entry.name === 'rouse' ? undefined : entry.name,
    ERROR: entry.err?.message,
    ERROR_STACK: entry.err?.stack,
  };
  for (const [key, value] of Object.entries(entry)) {
    const name = fieldNameOf(key);
    if (value === null || value === undefined || LEFT_OUT.has(key) || name === null) continue;
    fields[name] = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  }
  return fields;
}

/** With the subject in front, where the sentence doesn't name it: the journal shows nothing else of an entry. */
function messageOf(entry: LogEntry): string {
  const sentence = sentenceOf(entry);
  const gateway = typeof entry.gateway === 'string' ? `gateway ${entry.gateway}` : undefined;
  const subject = entry.service ?? gateway;
  return subject && !sentence.includes(subject) ? `${subject}: ${sentence}` : sentence;
}

/** Upper case, digits and underscores, of which none comes first (sd_journal_send(3)); null: nothing of it can be one. */
function fieldNameOf(key: string): string | null {
  const name = key
    .replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`)
    .toUpperCase()
    .replace(/[^A-Z0-9_]/g, '_')
    .replace(/^[_0-9]+/, '')
    .slice(0, MAX_NAME_LENGTH);
  if (name === '') return null;
  return TAKEN.has(name) ? `ROUSE_${name}` : name;
}

/**
 * One entry in the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a line for each
 * field; a value of several lines comes after its length, so that it can't fake a field.
 */
export function encodeJournalEntry(fields: JournalFields): Buffer {
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Buffer.concat(known.map(([name, value = '']) => encodeField(name, value)));
}

function encodeField(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`);
  const bytes = Buffer.from(`${value}\n`);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length - 1));
  return Buffer.concat([Buffer.from(`${name}\n`), length, bytes]);
}
