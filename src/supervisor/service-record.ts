import type { ExitStatus, ServiceStatus } from '../ipc/admin-api.js';
import type { ProcessExit } from '../sys/processes.js';
import { ColdStartFigures } from './cold-start-figures.js';
import { type FailureState, ServiceFailures } from './service-failures.js';
import type { WakeCause } from './state-log.js';

/** What a successor of this process needs to go on with a record. */
export interface RecordState {
  readonly starts: number;
  readonly coldStartsMs: readonly number[];
  readonly lastWake: ServiceStatus['lastWake'];
  readonly lastExit: ExitStatus | null;
  readonly failures: FailureState;
}

/** What is remembered of a service's lives: it outlives its incarnations. */
export class ServiceRecord {
  readonly failures: ServiceFailures;
  readonly #coldStarts = new ColdStartFigures();
  #starts = 0;
  #lastWake: ServiceStatus['lastWake'] = null;
  #lastExit: ExitStatus | null = null;
  /** Of the last wake, where that was in this process's time. */
  wakeCause: WakeCause | null = null;

  /** `recentOutput`: the last lines that the service printed. */
  constructor(recentOutput: () => readonly string[]) {
    this.failures = new ServiceFailures(recentOutput);
  }

  get starts(): number {
    return this.#starts;
  }

  get coldStart(): ServiceStatus['coldStart'] {
    return this.#coldStarts.figures();
  }

  get lastWake(): ServiceStatus['lastWake'] {
    return this.#lastWake;
  }

  get lastExit(): ExitStatus | null {
    return this.#lastExit;
  }

  noteStart(): void {
    this.#starts += 1;
  }

  noteReady(tookMs: number): void {
    this.#coldStarts.add(tookMs);
  }

  noteWake(wake: WakeCause): void {
    const { cause, source } = wake;
    this.wakeCause = wake;
    this.#lastWake = { at: new Date().toISOString(), cause, source };
  }

  noteExit({ code, signal }: ProcessExit): void {
    this.#lastExit = { at: new Date().toISOString(), code, signal };
  }

  /** `coldStarts`: of so many, the latest, how long they took. */
  state(coldStarts: number): RecordState {
    return {
      starts: this.#starts,
      coldStartsMs: this.#coldStarts.latest(coldStarts),
      lastWake: this.#lastWake,
      lastExit: this.#lastExit,
      failures: this.failures.state(),
    };
  }

  restore({ starts, coldStartsMs, lastWake, lastExit, failures }: RecordState): void {
    this.#starts = starts;
    for (const durationMs of coldStartsMs) this.#coldStarts.add(durationMs);
    this.#lastWake = lastWake;
    this.#lastExit = lastExit;
    this.failures.restore(failures);
  }
}
