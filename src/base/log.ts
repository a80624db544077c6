import { createRequire } from 'node:module';
import { type DestinationStream, type Logger, pino } from 'pino';
import type pinoPretty from 'pino-pretty';
import { type JournalFields, journalFieldsOf } from './journal-entry.js';
import { formatReadableLine, type LogEntry } from './readable-line.js';

export type { Logger } from 'pino';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface LogOptions {
  readonly level: LogLevel;
  /** Who writes: `rouse`, `gateway main`. */
  readonly name: string;
  /** In every entry. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Entries for systemd's journal instead of lines. */
  readonly journal?: { write(fields: JournalFields): void };
  /** Lines for a person instead of JSON. */
  readonly pretty: boolean;
  /** Colours in pretty lines; default: as `pretty`, unless NO_COLOR is set (no-color.org). */
  readonly colour?: boolean;
  /** Default: 2, standard error. */
  readonly destinationFd?: number;
}

/**
 * A logger that writes synchronously, so that the last words of a process that dies are not lost.
 * JSON: one object a line with `level` as a word and `time` as ISO 8601.
 */
export function createLog(options: LogOptions): Logger {
  return pino(
    {
      level: options.level,
      name: options.name,
      base: { pid: process.pid, ...options.fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    createStream(options),
  );
}

function createStream(options: LogOptions): DestinationStream {
  const { journal, pretty } = options;
  if (!journal) return pretty ? createPrettyStream(options) : createJsonStream(options);
  return { write: (line) => journal.write(journalFieldsOf(JSON.parse(line) as LogEntry)) };
}

function createJsonStream({ destinationFd = 2 }: LogOptions): DestinationStream {
  return pino.destination({ fd: destinationFd, sync: true });
}

function createPrettyStream(options: LogOptions): DestinationStream {
  const { pretty, destinationFd = 2 } = options;
  const colour = options.colour ?? (pretty && !process.env.NO_COLOR);
  // Loaded here only: a process without a terminal never pays for it.
  const load = createRequire(import.meta.url)('pino-pretty') as typeof pinoPretty;
  return load({
    colorize: false,
    destination: destinationFd,
    sync: true,
    hideObject: true,
    ignore: 'time,level,pid,hostname,name',
    messageFormat: (entry) => formatReadableLine(entry as LogEntry, { colour }),
  });
}
