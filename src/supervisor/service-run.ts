import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Underway } from '../base/underway.js';
import type { Service } from '../config/model.js';
import { closeFd } from '../sys/descriptors.js';
import type { ProcessExit } from '../sys/processes.js';
import type { Instance, InstanceState } from './instance.js';
import type { InstanceEvents, InstanceFactory } from './instance-factory.js';
import type { OutputLog } from './output-log.js';
import type { StartQueue } from './start-queue.js';

export interface ServiceRunSettings {
  readonly instances: InstanceFactory;
  readonly startQueue: StartQueue;
  readonly underway: Underway;
  readonly output: OutputLog;
  readonly log: Logger;
}

export interface ServiceRunEvents {
  readonly onReady: (tookMs: number) => void;
  readonly onStartFailed: (reason: string) => void;
  /** The instance has no process any more. */
  readonly onGone: (exit: ProcessExit | null) => void;
  /** It is running still, `stop_timeout` after the stop signal. */
  readonly onStopTimeout: () => void;
  /** It keeps itself awake, or no longer does. */
  readonly onHold: (isHeld: boolean) => void;
}

/** What an upgraded supervisor goes on with. Times are by the wall clock. */
export interface RunState {
  readonly instance: InstanceState | null;
  /** When the last start began. */
  readonly startedAtMs: number;
  /** null: it isn't ready, or was never. */
  readonly readyAtMs: number | null;
  readonly cleanExit: boolean;
  /** When it is killed, if it hasn't stopped by then; null: it isn't stopping. */
  readonly stopByMs: number | null;
}

/** A service's present incarnation, from the place in the queue of starts to the end of its VPS. */
export class ServiceRun {
  #instance: Instance | null = null;
  /** The connection that proved it ready, until somebody takes it. */
  #firstConnectionFd: number | null = null;
  #abortStart: AbortController | null = null;
  #stopTimer: NodeJS.Timeout | null = null;
  #stopByMs = 0;
  #startedAtMs = 0;
  #readyAtMs: number | null = null;
  #cleanExit = false;

  constructor(
    private readonly settings: ServiceRunSettings,
    private readonly events: ServiceRunEvents,
  ) {}

  get instance(): Instance | null {
    return this.#instance;
  }

  /** There is an instance, and its end wasn't told yet. */
  get isAlive(): boolean {
    return this.#instance !== null && !this.#instance.isOver;
  }

  /** Of the last one, by the wall clock; null: it never was. */
  get readyAtMs(): number | null {
    return this.#readyAtMs;
  }

  /** The last one's first process ended with exit code 0. */
  get cleanExit(): boolean {
    return this.#cleanExit;
  }

  state(): RunState {
    return {
      instance: this.#instance?.state() ?? null,
      startedAtMs: this.#startedAtMs,
      readyAtMs: this.#readyAtMs,
      cleanExit: this.#cleanExit,
      stopByMs: this.#stopTimer && this.#stopByMs,
    };
  }

  /** Goes on with the incarnation of an earlier self; a start that was under way wants `goOn`. */
  restore(state: RunState): void {
    this.#startedAtMs = state.startedAtMs;
    this.#readyAtMs = state.readyAtMs;
    this.#cleanExit = state.cleanExit;
    if (state.instance === null) return;
    const events = this.#eventsOf(state.instance.service, () => instance);
    const instance: Instance = this.settings.instances.restore(state.instance, events);
    this.#instance = instance;
    if (state.stopByMs !== null) this.#killAt(instance, state.stopByMs);
  }

  start(service: Service): void {
    this.#cleanExit = false;
    this.#readyAtMs = null;
    this.#startedAtMs = preciseNowMs();
    void this.#bringUp(service);
  }

  /** Goes on with the start that an earlier self began, from where that was. */
  goOn(service: Service): void {
    void this.#bringUp(service);
  }

  async #bringUp(service: Service): Promise<void> {
    const { startQueue, underway } = this.settings;
    const abort = new AbortController();
    this.#abortStart = abort;
    const begun = this.#instance;
    let leaveQueue = begun ? startQueue.enterAtOnce() : () => {};
    try {
      if (begun) this.#firstConnectionFd = await begun.goOnBringingUp();
      else {
        leaveQueue = await startQueue.enter(abort.signal);
        const instance = await underway.track(this.#create(service, abort.signal));
        this.#firstConnectionFd = await instance.bringUp();
      }
      this.#readyAtMs = Date.now();
      this.events.onReady(Math.round((preciseNowMs() - this.#startedAtMs) * 10) / 10);
    } catch (error) {
      this.#cleanExit = false;
      this.events.onStartFailed(messageOf(error));
    } finally {
      leaveQueue();
      const fd = this.takeConnection();
      if (fd !== null) closeFd(fd);
    }
  }

  async #create(service: Service, signal: AbortSignal): Promise<Instance> {
    const events = this.#eventsOf(service, () => instance);
    const instance: Instance = await this.settings.instances.create(service, events);
    if (signal.aborted) {
      await instance.dispose();
      throw signal.reason;
    }
    this.#instance = instance;
    return instance;
  }

  #eventsOf({ name }: Service, instance: () => Instance): InstanceEvents {
    const { log, output } = this.settings;
    const ifCurrent = (act: () => void) => {
      if (this.#instance === instance()) act();
    };
    return {
      onOutput: (chunk) => output.write(chunk),
      onHold: (isHeld) => ifCurrent(() => this.events.onHold(isHeld)),
      onTrouble: (message) => log.warn({ service: name }, message),
      onGone: (exit) =>
        ifCurrent(() => {
          this.#cleanExit = exit?.code === 0;
          this.events.onGone(exit);
        }),
    };
  }

  /** The connection that proved it ready, which is the caller's from here on; null: there is none. */
  takeConnection(): number | null {
    const fd = this.#firstConnectionFd;
    this.#firstConnectionFd = null;
    return fd;
  }

  /** Sends the stop signal, and starts the clock of `stop_timeout`. */
  signalStop(): void {
    const instance = this.#instance;
    if (!instance) return;
    this.#killAt(instance, Date.now() + instance.service.stopTimeoutMs);
    instance.signalStop();
  }

  #killAt({ service }: Instance, stopByMs: number): void {
    this.#stopByMs = stopByMs;
    const { stopSignal, stopTimeoutMs, name } = service;
    const onTime = () => {
      this.settings.log.warn(
        { service: name },
        `still running ${stopTimeoutMs / 1000} s after ${stopSignal}: killed`,
      );
      this.events.onStopTimeout();
    };
    this.#stopTimer = setTimeout(onTime, Math.max(0, stopByMs - Date.now()));
  }

  /** Ends all its processes, also of a start that is under way. */
  kill(): void {
    this.#abortStart?.abort(new RouseError('start', 'stopped before it was ready'));
    this.#instance?.kill();
  }

  /** The instance needs its VPS no more. */
  release(): void {
    const instance = this.#instance;
    this.#instance = null;
    if (this.#stopTimer) clearTimeout(this.#stopTimer);
    this.#stopTimer = null;
    instance?.dispose().catch((error) => {
      this.settings.log.error({ err: error, service: instance.service.name }, 'cannot clean up');
    });
    void this.settings.output.flush();
  }
}

/** By the wall clock, in milliseconds and parts of them: it goes on over an exec. */
function preciseNowMs(): number {
  return performance.timeOrigin + performance.now();
}
