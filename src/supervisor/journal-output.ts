import type { JournalFields } from '../base/journal-entry.js';

/** What passes on to systemd's journal. */
export interface JournalWriter {
  /** A socket for a process that writes by itself; the caller's. */
  openSocket(): number;
  /** `waits` false: not even for a moment. */
  write(fields: JournalFields, waits: boolean): void;
}

export interface JournalOutputSettings {
  readonly service: string;
  readonly journal: JournalWriter;
  /** The process that printed, as the host sees it; null: it isn't known. */
  readonly pid: () => number | null;
  readonly nowMs?: () => number;
}

/**
 * Half of what journald takes from all of rouse before it leaves lines out (RateLimitBurst= and
 * RateLimitIntervalSec= of journald.conf(5)): no service silences the others.
 */
const WINDOW_MS = 30_000;
const WINDOW_LINES = 5000;

/** Passes what one service prints on to systemd's journal, as the service's own words. */
export class JournalOutput {
  #windowEndMs = 0;
  #lines = 0;
  #omitted = 0;

  constructor(private readonly settings: JournalOutputSettings) {}

  /** One line, without control characters. */
  add(line: string): void {
    const { nowMs = () => performance.now(), service } = this.settings;
    const now = nowMs();
    if (now >= this.#windowEndMs) {
      this.#windowEndMs = now + WINDOW_MS;
      this.#lines = 0;
      this.#tellOmitted();
    }
    this.#lines += 1;
    if (this.#lines > WINDOW_LINES) {
      this.#omitted += 1;
      return;
    }
    const [, level, text = line] = /^<([0-7])>(.*)$/.exec(line) ?? [];
    this.#write({ MESSAGE: text, PRIORITY: level ?? '6', SYSLOG_IDENTIFIER: service });
  }

  #tellOmitted(): void {
    if (this.#omitted === 0) return;
    const { service } = this.settings;
    const MESSAGE = `${service}: ${this.#omitted} lines that it printed are left out here; \`rouse logs ${service}\` has the last of them`;
    this.#omitted = 0;
    this.#write({ MESSAGE, PRIORITY: '4', SYSLOG_IDENTIFIER: 'rouse' });
  }

  #write(fields: JournalFields): void {
    const { journal, pid, service } = this.settings;
    const SERVICE_PID = pid()?.toString();
    journal.write({ ...fields, SERVICE: service, SERVICE_PID }, false);
  }
}
