import type { ServiceState } from '../../src/ipc/admin-api.js';
import {
  type LifecycleEffect,
  type LifecycleEvent,
  nextTransition,
} from '../../src/supervisor/state-table.js';

type Process = 'none' | 'starting' | 'ready' | 'frozen' | 'ending';

/** A driver without processes, clocks and sockets: it plays what they would do, and watches the rules. */
export class SimulatedService {
  state: ServiceState = 'stopped';
  demanded = 0;
  granted = 0;
  refused = 0;
  readonly complaints: string[] = [];
  #process: Process = 'none';
  #leases = 0;
  /** Of each that waits: whether it gets a lease. */
  #waiters: boolean[] = [];
  #backoffOver = true;
  #cleanExit = false;
  #isStopSignalled = false;

  get waiting(): number {
    return this.#waiters.length;
  }

  /** What may happen to it; each does nothing where the world doesn't allow it. */
  readonly moves: Readonly<Record<string, () => void>> = {
    demand: () => this.#demand('demand', true),
    wake: () => this.#demand('wake-now', false),
    restart: () => this.#demand('restart-now', false),
    release: () => {
      this.#leases = Math.max(0, this.#leases - 1);
    },
    becomeReady: () => this.#becomeReady(),
    failStart: () => this.#failStart(),
    timeOutStart: () => {
      if (this.#process === 'starting' && this.state === 'starting') this.#tell('start-failed');
    },
    exit: () => this.#exit(false),
    exitCleanly: () => this.#exit(true),
    freezeDue: () => this.#tell('freeze-due'),
    stopDue: () => this.#tell('stop-due'),
    stopTimeout: () => {
      if (this.#isStopSignalled) this.#tell('stop-timeout');
    },
    sleep: () => this.#tell('stop-now'),
    freeze: () => this.#tell('freeze-now'),
    endBackoff: () => {
      this.#backoffOver = true;
      this.#tell('backoff-over');
    },
  };

  /** Lets everything that is under way come to its end. */
  settle(): void {
    for (let turn = 0; turn < 10 && this.waiting > 0; turn += 1) {
      if (this.state === 'starting') this.#becomeReady();
      else this.#exit(false);
    }
  }

  #demand(event: LifecycleEvent, withLease: boolean): void {
    this.demanded += 1;
    this.#waiters.push(withLease);
    this.#tell(event);
    const rests = this.state === 'running' || this.state === 'frozen' || this.state === 'stopped';
    if (rests && this.waiting > 0)
      this.complaints.push(`${event} is forgotten while ${this.state}`);
  }

  #becomeReady(): void {
    if (this.#process !== 'starting' || this.state !== 'starting') return;
    this.#process = 'ready';
    this.#tell('ready');
  }

  #failStart(): void {
    if (this.#process !== 'starting') return;
    this.#process = 'none';
    this.#tell('start-failed');
  }

  #exit(isClean: boolean): void {
    if (this.#process === 'none' || (this.#process === 'frozen' && isClean)) return;
    this.#process = 'none';
    this.#cleanExit = isClean;
    this.#tell('gone');
  }

  #tell(event: LifecycleEvent): void {
    const isLeased = this.#leases > 0;
    const { state, effects } = nextTransition(this.state, event, {
      leases: this.#leases,
      demanded: this.waiting > 0,
      backoffOver: this.#backoffOver,
      cleanExit: this.#cleanExit,
      alive: this.#process !== 'none',
    });
    this.state = state;
    if (isLeased && (event === 'freeze-due' || event === 'stop-due') && effects.length > 0) {
      this.complaints.push(`${event} while leased: ${effects}`);
    }
    for (const effect of effects) this.#run(effect);
    if (state === 'running' && this.#process !== 'ready')
      this.complaints.push('running, not ready');
    if (state === 'frozen' && this.#process !== 'frozen')
      this.complaints.push('frozen, not stopped');
    if (state === 'stopped' && this.#process !== 'none') this.complaints.push('stopped, not gone');
  }

  #run(effect: LifecycleEffect): void {
    switch (effect) {
      case 'start':
        this.#expect(effect, this.#process === 'none');
        this.#process = 'starting';
        this.#cleanExit = false;
        return;
      case 'grant':
        this.#expect(effect, this.#process === 'ready');
        this.granted += this.waiting;
        this.#leases += this.#waiters.filter(Boolean).length;
        this.#waiters = [];
        return;
      case 'refuse':
        this.refused += this.waiting;
        this.#waiters = [];
        return;
      case 'freeze':
        this.#expect(effect, this.#process === 'ready' && this.#leases === 0);
        this.#process = 'frozen';
        return;
      case 'thaw':
        this.#expect(effect, this.#process === 'frozen');
        this.#process = this.#isStopSignalled ? 'ending' : 'ready';
        return;
      case 'signal-stop':
        this.#expect(effect, this.#process === 'ready' || this.#process === 'frozen');
        this.#isStopSignalled = true;
        if (this.#process === 'ready') this.#process = 'ending';
        return;
      case 'kill':
        this.#expect(effect, this.#process !== 'none');
        this.#process = 'ending';
        return;
      case 'close-connections':
        this.#leases = 0;
        return;
      case 'release-vps':
        this.#expect(effect, this.#process === 'none');
        this.#isStopSignalled = false;
        return;
      case 'arm-backoff':
        this.#backoffOver = false;
        return;
      default:
        return;
    }
  }

  #expect(effect: LifecycleEffect, isRight: boolean): void {
    if (!isRight) this.complaints.push(`${effect} while the process is ${this.#process}`);
  }
}
