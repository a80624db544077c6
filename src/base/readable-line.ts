import { createPainter, type Paint, type Painter } from './paint.js';
import { printable } from './printable.js';

/** A log entry as pino wrote it, with the fields that lifecycle events carry. */
export interface LogEntry {
  readonly level?: string | number;
  readonly time?: string | number;
  readonly name?: string;
  readonly msg?: string;
  readonly service?: string;
  readonly event?: string;
  readonly source?: string;
  readonly listener?: string;
  readonly ms?: number;
  readonly reason?: string;
  readonly err?: { readonly type?: string; readonly message?: string; readonly stack?: string };
  readonly [field: string]: unknown;
}

export interface ReadableLineOptions {
  readonly colour: boolean;
}

const SUBJECT_WIDTH = 10;
/** Fields that every line has, or that the sentence already says. */
const ALWAYS_HIDDEN = new Set([
  'level',
  'time',
  'pid',
  'hostname',
  'name',
  'msg',
  'err',
  'service',
]);
const EVENT_FIELDS = new Set([
  ...['event', 'source', 'listener', 'ms', 'reason', 'from', 'to', 'instance', 'generation'],
  ...['code', 'signal', 'idleMs', 'gateway', 'servicePid'],
]);
const EVENT_PAINT: Readonly<Record<string, Paint>> = {
  wake: 'cyan',
  ready: 'green',
  thaw: 'green',
  stop: 'dim',
  freeze: 'blue',
  fail: 'red',
};

/** One log entry as a line for a person: `12:00:01  blog        ready in 41 ms`. Local time. */
export function formatReadableLine(entry: LogEntry, options: ReadableLineOptions): string {
  const paint = createPainter(options.colour);
  const subject = printable(String(entry.service ?? entry.gateway ?? entry.name ?? 'rouse'));
  const columns = [
    paint('dim', clockOf(entry.time)),
    paint('bold', subject.padEnd(SUBJECT_WIDTH)),
    paintedSentenceOf(entry, paint) + detailsOf(entry, paint),
  ];
  return [columns.join('  ').trimEnd(), ...stackOf(entry)].join('\n');
}

function clockOf(time: string | number | undefined): string {
  const date = time === undefined ? new Date() : new Date(time);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':');
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** What an entry says, with its cause, as it was written: it may hold anything. */
export function sentenceOf(entry: LogEntry): string {
  const text = entry.msg || sentenceOfEvent(entry);
  const cause = entry.err?.message;
  return cause && !text.includes(cause) ? joinCause(text, cause) : text;
}

function paintedSentenceOf(entry: LogEntry, paint: Painter): string {
  const sentence = printable(sentenceOf(entry));
  const eventPaint = EVENT_PAINT[entry.event ?? ''];
  switch (severityOf(entry.level)) {
    case 'error':
      return `${paint('red', 'error:')} ${sentence}`;
    case 'warn':
      return `${paint('yellow', 'warning:')} ${sentence}`;
    case 'debug':
      return paint('dim', sentence);
    case 'info':
      return eventPaint ? paint(eventPaint, sentence) : sentence;
  }
}

function joinCause(text: string, cause: string): string {
  return text ? `${text}: ${cause}` : cause;
}

function severityOf(level: LogEntry['level']): 'error' | 'warn' | 'info' | 'debug' {
  if (level === 'error' || level === 'fatal' || (typeof level === 'number' && level >= 50)) {
    return 'error';
  }
  if (level === 'warn' || level === 40) return 'warn';
  return level === 'debug' || level === 'trace' || level === 20 || level === 10 ? 'debug' : 'info';
}

function sentenceOfEvent(entry: LogEntry): string {
  const { event, source, listener, ms, reason } = entry;
  const on = listener ? ` on ${listener}` : '';
  switch (event) {
    case 'wake':
      return `woken by ${source ?? reason ?? 'command'}${on}`;
    case 'ready':
      return ms === undefined ? 'ready' : `ready in ${ms} ms`;
    case 'stop':
      return withReason('stopped', reason);
    case 'freeze':
      return withReason('frozen', reason);
    case 'thaw':
      return withReason('thawed', reason);
    case 'fail':
      return withReason('failed', reason);
    default:
      return withReason(event ?? '', reason);
  }
}

function withReason(word: string, reason: string | undefined): string {
  return reason ? `${word}: ${reason}` : word;
}

function detailsOf(entry: LogEntry, paint: Painter): string {
  const fields = Object.entries(entry)
    .filter(([key, value]) => value !== null && value !== undefined && !isSaid(key, entry))
    .map(([key, value]) => `${key}=${showValue(value)}`);
  return fields.length === 0 ? '' : `  ${paint('dim', fields.join(' '))}`;
}

function isSaid(key: string, entry: LogEntry): boolean {
  if (ALWAYS_HIDDEN.has(key)) return true;
  if (entry.event !== undefined && EVENT_FIELDS.has(key)) return true;
  return key === 'gateway' && entry.service === undefined;
}

function showValue(value: unknown): string {
  return printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value)));
}

/** Stacks are for bugs: an error that was reported on purpose has none worth a person's time. */
function stackOf(entry: LogEntry): string[] {
  const stack = entry.err?.stack;
  const isOnPurpose = entry.err?.type === 'RouseError';
  if (!stack || isOnPurpose || severityOf(entry.level) !== 'error') return [];
  return stack
    .split('\n')
    .slice(1)
    .map((line) => `    ${printable(line.trim())}`);
}
