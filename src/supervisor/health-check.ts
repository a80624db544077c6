import type { ServiceManager } from './service-manager.js';

/** A process of rouse that is asked for signs of life. */
export interface Watched {
  /** One beat; `counts` false: an answer that is missing isn't held against it. A process that hangs is replaced. */
  beat(counts: boolean): void;
  /** It hangs, and its end has been ordered. */
  readonly isHung: boolean;
}

export interface HealthCheckSettings {
  readonly watched: () => Iterable<Watched>;
  readonly manager: Pick<ServiceManager, 'watchdog' | 'watchdogMs'>;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 2000;

/**
 * Finds processes that hang, and tells the service manager that all is well. The time that counts
 * is that in which this process ran as well (monotonic, and beats that come late don't count): a
 * suspended machine, a frozen cgroup or a host without time for anybody kills nothing. That this
 * process itself hangs is seen by the service manager, which hears nothing any more.
 */
export class HealthCheck {
  readonly #timers: NodeJS.Timeout[] = [];
  #lastBeatMs = performance.now();

  constructor(private readonly settings: HealthCheckSettings) {
    const { intervalMs = INTERVAL_MS, manager } = settings;
    this.#every(intervalMs, () => this.beat(performance.now()));
    if (manager.watchdogMs !== null) this.#every(manager.watchdogMs / 2, () => this.reassure());
  }

  #every(intervalMs: number, act: () => void): void {
    this.#timers.push(setInterval(act, intervalMs).unref());
  }

  beat(nowMs: number): void {
    const { intervalMs = INTERVAL_MS, watched } = this.settings;
    const isOnTime = nowMs - this.#lastBeatMs < 1.5 * intervalMs;
    this.#lastBeatMs = nowMs;
    for (const process of watched()) process.beat(isOnTime);
  }

  /** Tells the service manager that all is well, where it is. */
  reassure(): void {
    for (const { isHung } of this.settings.watched()) if (isHung) return;
    this.settings.manager.watchdog();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
