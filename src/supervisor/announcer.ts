import { messageOf } from '../base/errors.js';
import type { ServiceState, StateEvent } from '../ipc/admin-api.js';
import type { ServiceManager } from './service-manager.js';

/** Changes within that time make one status line. */
const STATUS_DELAY_MS = 200;
/** The manager's patience is asked for anew that often, for that long: it sees a stop that hangs. */
const EXTEND_EVERY_MS = 2500;
const EXTEND_MS = 10_000;
/** What cleaning up may take beyond the stop of services. */
const CLEAN_UP_MS = 30_000;

export interface AnnouncerSettings {
  readonly manager: ServiceManager;
  readonly services: {
    readonly size: number;
    /** Those that aren't stopped, and maybe others. */
    readonly drivers: ReadonlyMap<string, { readonly state: ServiceState }>;
    onState(listener: (event: StateEvent) => void): () => void;
  };
}

/** What the service manager hears of a supervisor: that it serves, reloads and stops, and how its services are. */
export class Announcer {
  readonly #stopListening: () => void;
  #timer: NodeJS.Timeout | null = null;
  #extending: NodeJS.Timeout | null = null;
  #reloads = 0;
  #isStopping = false;
  #refusal = '';

  constructor(private readonly settings: AnnouncerSettings) {
    const { manager, services } = settings;
    this.#stopListening = manager.isPresent ? services.onState(() => this.#change()) : () => {};
  }

  started(): void {
    this.#tellStatus();
    this.settings.manager.ready();
  }

  /** Says when the first of the reloads under way begins, and when the last one has ended. */
  async reload<T>(work: () => Promise<T>): Promise<T> {
    const { manager } = this.settings;
    this.#reloads += 1;
    manager.reloading();
    try {
      const result = await work();
      this.#refusal = '';
      return result;
    } catch (error) {
      this.#refusal = `; the last reload was refused: ${messageOf(error).split('\n')[0]}`;
      throw error;
    } finally {
      this.#reloads -= 1;
      this.#tellStatus();
      if (this.#reloads === 0 && !this.#isStopping) manager.ready();
    }
  }

  /** From here on the manager is asked for patience, until `limitMs` and some more have passed. */
  stopping(limitMs: number): void {
    const { manager } = this.settings;
    this.#isStopping = true;
    manager.stopping();
    this.#tellStatus();
    const untilMs = performance.now() + limitMs + CLEAN_UP_MS;
    const extend = () => {
      const leftMs = untilMs - performance.now();
      if (leftMs > 0) manager.extendTimeout(Math.min(EXTEND_MS, leftMs));
    };
    extend();
    this.#extending = setInterval(extend, EXTEND_EVERY_MS).unref();
  }

  #change(): void {
    this.#timer ??= setTimeout(() => this.#tellStatus(), STATUS_DELAY_MS).unref();
  }

  #tellStatus(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const { manager, services } = this.settings;
    if (!manager.isPresent) return;
    const states = [...services.drivers.values()].map(({ state }) => state);
    const prefix = this.#isStopping ? 'stopping: ' : '';
    manager.status(prefix + describeServices(services.size, states) + this.#refusal);
  }

  close(): void {
    this.#stopListening();
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#extending) clearInterval(this.#extending);
  }
}

/** `12 services, 2 awake, 1 starting`. `states`: of those that aren't stopped, at least. */
export function describeServices(total: number, states: readonly ServiceState[]): string {
  const count = (wanted: ServiceState) => states.filter((state) => state === wanted).length;
  const others = (['starting', 'frozen', 'stopping', 'failed'] as const)
    .map((state) => [count(state), state] as const)
    .filter(([number]) => number > 0);
  const parts = [[count('running'), 'awake'] as const, ...others].map((part) => part.join(' '));
  return [`${total} service${total === 1 ? '' : 's'}`, ...parts].join(', ');
}
