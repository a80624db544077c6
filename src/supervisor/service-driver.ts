import { RouseError } from '../base/errors.js';
import type { Service } from '../config/model.js';
import type { Failure, ServiceState, StateEvent } from '../ipc/admin-api.js';
import { closeFd } from '../sys/descriptors.js';
import type { ProcessExit } from '../sys/processes.js';
import { ConnectionHolder } from './connection-holder.js';
import { describeExit } from './describe-exit.js';
import type { DriverState, HolderFinder } from './driver-state.js';
import type { IdleDue } from './idle-clock.js';
import type { Instance } from './instance.js';
import { COMMAND, ITSELF, type LeaseHolder, type Waiter } from './lease-book.js';
import { type RecordState, ServiceRecord } from './service-record.js';
import { ServiceRun, type ServiceRunSettings } from './service-run.js';
import { ServiceUse } from './service-use.js';
import {
  describeIdle,
  describeWake,
  logExit,
  logStateChange,
  type WakeCause,
} from './state-log.js';
import { type LifecycleEffect, type LifecycleEvent, nextTransition } from './state-table.js';

/** Those in which a service may hold itself: with READY=1 at the earliest. */
const AWAKE: ReadonlySet<ServiceState> = new Set(['starting', 'running', 'frozen']);
const ASLEEP: ReadonlySet<ServiceState> = new Set(['stopped', 'failed']);

export interface DriverSettings extends ServiceRunSettings {
  readonly onState: (event: StateEvent) => void;
  /** The instance is no more: whoever has connections of it closes them. */
  readonly onGone: (service: string, instance: number) => void;
  /** Asleep again: a good moment to build the next VPS. */
  readonly onAsleep: (service: Service) => void;
  /** After each event: what is remembered of it may have changed. */
  readonly onEvent: () => void;
}

/** One service's life: runs the state table's effects, keeps its leases and what waits for it. */
export class ServiceDriver {
  readonly record: ServiceRecord;
  readonly #use = new ServiceUse({
    service: () => this.service,
    state: () => this.#state,
    onIdle: (event, durationMs) => this.#tell(event, describeIdle(durationMs)),
  });
  #state: ServiceState = 'stopped';
  #sinceMs = Date.now();
  readonly #run: ServiceRun;
  #reason = '';
  #onStateChange = new Set<() => void>();

  constructor(
    public service: Service,
    private readonly settings: DriverSettings,
  ) {
    this.record = new ServiceRecord(() => settings.output.recent());
    this.#run = new ServiceRun(settings, {
      onReady: (tookMs) => this.#onReady(tookMs),
      onStartFailed: (reason) => this.#onStartFailed(reason),
      onGone: (exit) => this.#onGone(exit),
      onStopTimeout: () => this.#tell('stop-timeout', this.#reason),
      onHold: (isHeld) => this.#holdItself(isHeld),
    });
  }

  get state(): ServiceState {
    return this.#state;
  }

  get since(): string {
    return new Date(this.#sinceMs).toISOString();
  }

  get instance(): Instance | null {
    return this.#run.instance;
  }

  get failure(): Failure | null {
    return this.#state === 'failed' ? this.record.failures.last : null;
  }

  get leases(): ServiceUse['leases'] {
    return this.#use.leases;
  }

  get idleDue(): IdleDue | null {
    return this.#use.idleDue;
  }

  /** A lease for `waiter.holder`, at once or when the service is ready. */
  acquire(waiter: Waiter, cause: WakeCause): void {
    this.#use.await(waiter);
    if (this.#isAsleep) this.record.noteWake(cause);
    this.#tell('demand', describeWake(cause));
  }

  /** Wakes it in spite of a backoff; resolves when it is ready, rejects with a `RouseError` of code `start`. */
  wake(cause: WakeCause): Promise<void> {
    const ready = this.#untilReady();
    if (this.#isAsleep) this.record.noteWake(cause);
    this.#tell('wake-now', describeWake(cause));
    return ready;
  }

  /** Waits without a lease. */
  #untilReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#use.await({
        holder: null,
        state: { kind: 'readiness' },
        granted: () => {
          resolve();
          return false;
        },
        refused: (refusal) =>
          reject(new RouseError('start', `${this.service.name}: ${refusal.message}`)),
      });
    });
  }

  get #isAsleep(): boolean {
    return ASLEEP.has(this.#state) || this.#state === 'frozen';
  }

  /** The lease ends; a lease of another incarnation has ended with it. */
  release(holder: LeaseHolder, instance: number, idleMs: number): void {
    if (this.instance?.id === instance) this.#use.release(holder, idleMs);
  }

  /** A lease of `rouse hold`, for a time or (null) until it is released. */
  holdByCommand(durationMs: number | null): void {
    if (this.#state === 'running') this.#use.hold(COMMAND, durationMs);
  }

  releaseByCommand(): void {
    this.#use.release(COMMAND, 0);
  }

  #holdItself(isHeld: boolean): void {
    if (!isHeld) this.#use.release(ITSELF, 0);
    if (!isHeld || !AWAKE.has(this.#state)) return;
    this.#use.hold(ITSELF, null);
    // It said so just before it was frozen.
    if (this.#state === 'frozen') this.#tell('wake-now', 'it holds itself awake');
  }

  /** A gateway died: its leases and its waiting end with it. */
  dropHolder(holder: LeaseHolder): void {
    this.#use.drop(holder);
  }

  /** Whether this holder may use this incarnation now. */
  holds(holder: LeaseHolder, instance: number): Instance | null {
    const current = this.instance;
    return current?.id === instance && this.leases.has(holder) ? current : null;
  }

  /** Stops it, from `hurry` on by force; resolves when it is stopped. */
  async stop(reason: string, hurry?: AbortSignal): Promise<void> {
    this.#tell('stop-now', reason);
    const kill = () => this.#tell('stop-timeout', reason);
    hurry?.addEventListener('abort', kill, { once: true });
    if (hurry?.aborted) kill();
    const stopping = this.instance;
    await this.#until(() => ASLEEP.has(this.#state) || this.instance !== stopping);
  }

  freeze(): boolean {
    this.#tell('freeze-now', 'frozen by command');
    return this.#state === 'frozen';
  }

  restart(): Promise<void> {
    const ready = this.#untilReady();
    this.record.noteWake({ cause: 'restart', source: null, listener: null });
    this.#tell('restart-now', 'restarted by command');
    return ready;
  }

  /** New settings: those of the process take effect with the next start, the others at once. */
  update(service: Service): void {
    this.service = service;
    this.#use.armIdle();
  }

  async #until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.#onStateChange.add(resolve));
  }

  #tell(event: LifecycleEvent, reason: string): void {
    const { state, effects } = nextTransition(this.#state, event, {
      leases: this.leases.size,
      demanded: this.#use.isAwaited,
      backoffOver: this.record.failures.isBackoffOver,
      cleanExit: this.#run.cleanExit,
      alive: this.#run.isAlive,
    });
    this.#reason = reason;
    const from = this.#state;
    this.#state = state;
    if (state !== from) this.#changed(from, reason);
    for (const effect of effects) this.#perform(effect, from);
    this.settings.onEvent();
  }

  takeState(): DriverState {
    return {
      state: this.#state,
      sinceMs: this.#sinceMs,
      reason: this.#reason,
      record: this.record.state(Number.POSITIVE_INFINITY),
      run: this.#run.state(),
      use: this.#use.state(),
    };
  }

  /** Goes on with the life that an earlier self has led. */
  restore(from: DriverState, finder: HolderFinder): void {
    this.#state = from.state;
    this.#sinceMs = from.sinceMs;
    this.#reason = from.reason;
    this.record.restore(from.record);
    this.#run.restore(from.run);
    this.#use.restore(
      from.use,
      (key) =>
        [COMMAND, ITSELF].find((holder) => holder.key === key) ??
        (this.instance && ConnectionHolder.find(key, this, this.instance)) ??
        finder.findHolder(key),
      (waiter) => finder.restoreWaiter(this, waiter),
    );
    if (this.#state === 'starting') this.#run.goOn(this.service);
  }

  /** Goes on with the record of the last rouse; a service that had failed is failed still. */
  resume(record: RecordState, isFailed: boolean): void {
    this.record.restore(record);
    if (isFailed) this.#state = 'failed';
  }

  #changed(from: ServiceState, reason: string): void {
    this.#sinceMs = Date.now();
    const event: StateEvent = {
      at: new Date().toISOString(),
      service: this.service.name,
      from,
      to: this.#state,
      reason,
    };
    logStateChange(this.settings.log, event, this.record.coldStart.lastMs, this.record.wakeCause);
    this.settings.onState(event);
    const waiting = [...this.#onStateChange];
    this.#onStateChange.clear();
    for (const resume of waiting) resume();
  }

  #perform(effect: LifecycleEffect, from: ServiceState): void {
    const { instance } = this;
    switch (effect) {
      case 'start':
        this.record.noteStart();
        this.#run.start(this.service);
        break;
      case 'grant':
        this.#grant();
        break;
      case 'refuse':
        this.#use.refuseAll(this.record.failures.refusal(this.#state, from));
        break;
      case 'freeze':
        instance?.freeze(this.service.idle.reclaim);
        break;
      case 'thaw':
        instance?.thaw();
        break;
      case 'signal-stop':
        this.#run.signalStop();
        break;
      case 'kill':
        this.#run.kill();
        break;
      case 'arm-idle':
        this.#use.armIdle();
        break;
      case 'cancel-idle':
        this.#use.cancelIdle();
        break;
      case 'arm-backoff':
        this.record.failures.arm(this.#run.readyAtMs, this.#reason);
        break;
      case 'report-exit':
        this.#reportExit();
        break;
      case 'close-connections':
        this.#closeConnections();
        break;
      case 'release-vps':
        this.#releaseInstance();
        break;
    }
  }

  #onReady(tookMs: number): void {
    this.record.noteReady(tookMs);
    this.#use.note();
    this.#tell('ready', `ready in ${tookMs} ms`);
  }

  #onStartFailed(reason: string): void {
    this.record.failures.note(reason);
    this.#tell('start-failed', reason);
  }

  #onGone(exit: ProcessExit | null): void {
    const reason = this.#state === 'stopping' ? this.#reason : describeExit(exit);
    if (this.#state === 'running' || this.#state === 'frozen') this.record.failures.note(reason);
    this.#tell('gone', reason);
  }

  #grant(): void {
    const { instance } = this;
    if (!instance) return;
    const fd = this.#run.takeConnection();
    const isTaken = this.#use.grantAll(instance, fd);
    if (fd !== null && !isTaken) closeFd(fd);
  }

  #reportExit(): void {
    const exit = this.instance?.lastExit;
    if (!exit) return;
    this.record.noteExit(exit);
    if (this.#state !== 'failed') return;
    logExit(this.settings.log, this.service.name, exit, this.settings.output.recent());
  }

  #closeConnections(): void {
    const { instance } = this;
    if (!instance) return;
    this.#use.clear();
    this.settings.onGone(this.service.name, instance.id);
  }

  #releaseInstance(): void {
    this.#run.release();
    this.#use.clear();
    if (this.#state !== 'stopped') return;
    if (this.#run.readyAtMs !== null) this.record.failures.reset();
    this.settings.onAsleep(this.service);
  }
}
