import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Service } from '../config/model.js';
import type { Failure, ServiceState, StateEvent } from '../ipc/admin-api.js';
import { closeFd } from '../sys/descriptors.js';
import type { ProcessExit } from '../sys/processes.js';
import { describeExit } from './describe-exit.js';
import { nextIdleDue } from './idle-clock.js';
import { IdleTimer } from './idle-timer.js';
import type { Instance } from './instance.js';
import type { InstanceFactory } from './instance-factory.js';
import { LeaseBook, type LeaseHolder, type Waiter } from './lease-book.js';
import type { OutputLog } from './output-log.js';
import { type RecordState, ServiceRecord } from './service-record.js';
import type { StartQueue } from './start-queue.js';
import {
  describeIdle,
  describeWake,
  logExit,
  logStateChange,
  type WakeCause,
} from './state-log.js';
import { type LifecycleEffect, type LifecycleEvent, nextTransition } from './state-table.js';

const ASLEEP: ReadonlySet<ServiceState> = new Set(['stopped', 'failed']);
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface DriverSettings {
  readonly createInstance: InstanceFactory;
  readonly startQueue: StartQueue;
  readonly output: OutputLog;
  readonly log: Logger;
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
  readonly #idle = new IdleTimer(
    () => (this.#book.isAwaited ? null : this.idleDue),
    (event) => this.#tell(event, describeIdle(Date.now() - this.#lastUseMs)),
  );
  readonly #holdTimers = new WeakMap<LeaseHolder, NodeJS.Timeout>();
  readonly #itself: LeaseHolder = { name: 'the service itself' };
  readonly #book = new LeaseBook();
  #state: ServiceState = 'stopped';
  #sinceMs = Date.now();
  #instance: Instance | null = null;
  #firstConnectionFd: number | null = null;
  #abortStart: AbortController | null = null;
  #stopTimer: NodeJS.Timeout | null = null;
  #lastUseMs = Date.now();
  #readyAtMs: number | null = null;
  #cleanExit = false;
  #reason = '';
  #onStateChange = new Set<() => void>();

  constructor(
    public service: Service,
    private readonly settings: DriverSettings,
  ) {
    this.record = new ServiceRecord(() => settings.output.recent());
  }

  get state(): ServiceState {
    return this.#state;
  }

  get since(): string {
    return new Date(this.#sinceMs).toISOString();
  }

  get instance(): Instance | null {
    return this.#instance;
  }

  get failure(): Failure | null {
    return this.#state === 'failed' ? this.record.failures.last : null;
  }

  get leases(): ReadonlyMap<LeaseHolder, { readonly since: number }> {
    return this.#book.leases;
  }

  get idleDue(): ReturnType<typeof nextIdleDue> {
    return this.leases.size > 0
      ? null
      : nextIdleDue(this.#lastUseMs, this.service.idle, this.#state);
  }

  /** A lease for `waiter.holder`, at once or when the service is ready. */
  acquire(waiter: Waiter, cause: WakeCause): void {
    this.#book.await(waiter);
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
      this.#book.await({
        holder: null,
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
    if (this.#instance?.id !== instance || !this.#book.end(holder)) return;
    this.#lastUseMs = Math.max(this.#lastUseMs, Date.now() - idleMs);
    this.#idle.arm();
  }

  /** A lease that a command or the service itself has, for a time or (null) until it is released. */
  hold(holder: LeaseHolder, instance: Instance, durationMs: number | null): void {
    if (this.#instance !== instance || this.#state !== 'running') return;
    this.#book.give(holder);
    this.#idle.cancel();
    clearTimeout(this.#holdTimers.get(holder));
    if (durationMs === null) return;
    const release = () => this.release(holder, instance.id, 0);
    this.#holdTimers.set(holder, setTimeout(release, Math.min(MAX_TIMER_MS, durationMs)).unref());
  }

  #holdItself(instance: Instance, isHeld: boolean): void {
    if (isHeld) this.hold(this.#itself, instance, null);
    else this.release(this.#itself, instance.id, 0);
  }

  /** Ends a lease that a command has. */
  releaseHold(holder: LeaseHolder): void {
    const id = this.#instance?.id;
    if (id !== undefined) this.release(holder, id, 0);
  }

  /** A gateway died: its leases and its waiting end with it. */
  dropHolder(holder: LeaseHolder): void {
    if (!this.#book.forget(holder)) return;
    this.#lastUseMs = Date.now();
    this.#idle.arm();
  }

  /** Whether this holder may use this incarnation now. */
  holds(holder: LeaseHolder, instance: number): Instance | null {
    const current = this.#instance;
    return current?.id === instance && this.leases.has(holder) ? current : null;
  }

  /** Stops it, from `hurry` on by force; resolves when it is stopped. */
  async stop(reason: string, hurry?: AbortSignal): Promise<void> {
    this.#tell('stop-now', reason);
    const kill = () => this.#tell('stop-timeout', reason);
    hurry?.addEventListener('abort', kill, { once: true });
    if (hurry?.aborted) kill();
    const stopping = this.#instance;
    await this.#until(() => ASLEEP.has(this.#state) || this.#instance !== stopping);
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
    this.#idle.arm();
  }

  async #until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.#onStateChange.add(resolve));
  }

  #tell(event: LifecycleEvent, reason: string): void {
    const { state, effects } = nextTransition(this.#state, event, {
      leases: this.leases.size,
      demanded: this.#book.isAwaited,
      backoffOver: this.record.failures.isBackoffOver,
      interruptible: false,
      cleanExit: this.#cleanExit,
      alive: this.#instance !== null && !this.#instance.isOver,
    });
    this.#reason = reason;
    const from = this.#state;
    this.#state = state;
    if (state !== from) this.#changed(from, reason);
    for (const effect of effects) this.#run(effect, from);
    this.settings.onEvent();
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

  #run(effect: LifecycleEffect, from: ServiceState): void {
    const instance = this.#instance;
    switch (effect) {
      case 'start':
        void this.#start();
        break;
      case 'grant':
        this.#grant();
        break;
      case 'refuse':
        this.#book.refuseAll(this.record.failures.refusal(this.#state, from));
        break;
      case 'freeze':
        instance?.freeze(this.service.idle.reclaim);
        break;
      case 'thaw':
        instance?.thaw();
        break;
      case 'signal-stop':
        this.#signalStop();
        break;
      case 'kill':
        this.#abortStart?.abort(new RouseError('start', 'stopped before it was ready'));
        instance?.kill();
        break;
      case 'arm-idle':
        this.#idle.arm();
        break;
      case 'cancel-idle':
        this.#idle.cancel();
        break;
      case 'arm-backoff':
        this.record.failures.arm(this.#readyAtMs, this.#reason);
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

  async #start(): Promise<void> {
    this.record.noteStart();
    this.#cleanExit = false;
    this.#readyAtMs = null;
    const startedAtMs = performance.now();
    const { service } = this;
    const abort = new AbortController();
    this.#abortStart = abort;
    let leaveQueue = () => {};
    try {
      leaveQueue = await this.settings.startQueue.enter(abort.signal);
      const instance: Instance = await this.settings.createInstance(service, {
        onOutput: (chunk) => this.settings.output.write(chunk),
        onHold: (isHeld) => this.#holdItself(instance, isHeld),
        onTrouble: (message) => this.settings.log.warn({ service: service.name }, message),
        onGone: (exit) => this.#onGone(instance, exit),
      });
      if (abort.signal.aborted) {
        await instance.dispose();
        throw abort.signal.reason;
      }
      this.#instance = instance;
      this.#firstConnectionFd = await instance.bringUp();
      const tookMs = Math.round((performance.now() - startedAtMs) * 10) / 10;
      this.record.noteReady(tookMs);
      this.#readyAtMs = Date.now();
      this.#lastUseMs = Date.now();
      this.#tell('ready', `ready in ${tookMs} ms`);
    } catch (error) {
      this.#cleanExit = false;
      this.record.failures.note(messageOf(error));
      this.#tell('start-failed', messageOf(error));
    } finally {
      leaveQueue();
      this.#dropFirstConnection();
    }
  }

  #onGone(instance: Instance, exit: ProcessExit | null): void {
    if (this.#instance !== instance) return;
    this.#cleanExit = exit?.code === 0;
    const reason = this.#state === 'stopping' ? this.#reason : describeExit(exit);
    if (this.#state === 'running' || this.#state === 'frozen') this.record.failures.note(reason);
    this.#tell('gone', reason);
  }

  #grant(): void {
    const instance = this.#instance;
    if (!instance) return;
    if (this.#book.grantAll(instance, this.#firstConnectionFd)) this.#firstConnectionFd = null;
    this.#lastUseMs = Date.now();
  }

  #dropFirstConnection(): void {
    if (this.#firstConnectionFd !== null) closeFd(this.#firstConnectionFd);
    this.#firstConnectionFd = null;
  }

  #signalStop(): void {
    const instance = this.#instance;
    if (!instance) return;
    this.#stopTimer = setTimeout(() => {
      this.settings.log.warn(
        { service: this.service.name },
        `still running ${instance.service.stopTimeoutMs / 1000} s after ${instance.service.stopSignal}: killed`,
      );
      this.#tell('stop-timeout', this.#reason);
    }, instance.service.stopTimeoutMs);
    instance.signalStop();
  }

  #reportExit(): void {
    const exit = this.#instance?.lastExit;
    if (!exit) return;
    this.record.noteExit(exit);
    if (this.#state !== 'failed') return;
    logExit(this.settings.log, this.service.name, exit, this.settings.output.recent());
  }

  #closeConnections(): void {
    const instance = this.#instance;
    if (!instance) return;
    this.#book.clear();
    this.settings.onGone(this.service.name, instance.id);
  }

  #releaseInstance(): void {
    const instance = this.#instance;
    this.#instance = null;
    if (this.#stopTimer) clearTimeout(this.#stopTimer);
    this.#stopTimer = null;
    instance?.dispose().catch((error) => {
      this.settings.log.error({ err: error, service: this.service.name }, 'cannot clean up');
    });
    this.settings.output.flush();
    if (this.#state !== 'stopped') return;
    if (this.#readyAtMs !== null) this.record.failures.reset();
    this.settings.onAsleep(this.service);
  }
}
