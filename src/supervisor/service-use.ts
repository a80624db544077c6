import type { Service } from '../config/model.js';
import type { ServiceState } from '../ipc/admin-api.js';
import type { Refusal } from '../ipc/refusals.js';
import { type HoldState, HoldTimers } from './hold-timers.js';
import { type IdleDue, nextIdleDue } from './idle-clock.js';
import { IdleTimer } from './idle-timer.js';
import type { Instance } from './instance.js';
import { LeaseBook, type LeaseHolder, type Waiter, type WaiterState } from './lease-book.js';

export interface ServiceUseSettings {
  readonly service: () => Pick<Service, 'idle'>;
  readonly state: () => ServiceState;
  /** Nobody has used it for that long, in milliseconds. */
  readonly onIdle: (event: IdleDue['event'], durationMs: number) => void;
}

/** What an upgraded supervisor goes on with. Times are by the wall clock. */
export interface UseState {
  readonly lastUseMs: number;
  readonly leases: readonly { readonly key: string; readonly sinceMs: number }[];
  readonly holds: readonly HoldState[];
  readonly waiters: readonly WaiterState[];
}

/** Who uses a service, who waits for it, and what is due when nobody does. */
export class ServiceUse {
  readonly #book = new LeaseBook();
  readonly #holds = new HoldTimers();
  readonly #idle: IdleTimer;
  #lastUseMs = Date.now();

  constructor(private readonly settings: ServiceUseSettings) {
    this.#idle = new IdleTimer(
      () => (this.#book.isAwaited ? null : this.idleDue),
      (event) => settings.onIdle(event, Date.now() - this.#lastUseMs),
    );
  }

  get leases(): ReadonlyMap<LeaseHolder, { readonly since: number }> {
    return this.#book.leases;
  }

  /** Somebody waits for it. */
  get isAwaited(): boolean {
    return this.#book.isAwaited;
  }

  get idleDue(): IdleDue | null {
    const { service, state } = this.settings;
    return this.leases.size > 0 ? null : nextIdleDue(this.#lastUseMs, service().idle, state());
  }

  armIdle(): void {
    this.#idle.arm();
  }

  cancelIdle(): void {
    this.#idle.cancel();
  }

  await(waiter: Waiter): void {
    this.#book.await(waiter);
  }

  /** Answers all who wait. Whether somebody took the connection. */
  grantAll(instance: Instance, connectionFd: number | null): boolean {
    this.#lastUseMs = Date.now();
    return this.#book.grantAll(instance, connectionFd);
  }

  refuseAll(refusal: Refusal): void {
    this.#book.refuseAll(refusal);
  }

  /** It was used last `idleMs` milliseconds ago, or later. */
  note(idleMs = 0): void {
    this.#lastUseMs = Math.max(this.#lastUseMs, Date.now() - idleMs);
  }

  /** The lease ends, where there is one; its holder's last use was `idleMs` ago. */
  release(holder: LeaseHolder, idleMs: number): void {
    if (!this.#book.end(holder)) return;
    this.note(idleMs);
    this.armIdle();
  }

  /** A lease for a time in milliseconds or (null) until it is released. */
  hold(holder: LeaseHolder, durationMs: number | null): void {
    this.#book.give(holder);
    this.cancelIdle();
    this.#endAt(holder, durationMs === null ? null : Date.now() + durationMs);
  }

  #endAt(holder: LeaseHolder, untilMs: number | null): void {
    this.#holds.set(holder, untilMs, () => this.release(holder, 0));
  }

  /** The holder is no more: its lease and its waiting end. */
  drop(holder: LeaseHolder): void {
    if (!this.#book.forget(holder)) return;
    this.note();
    this.armIdle();
  }

  /** All leases end with the instance. */
  clear(): void {
    this.#book.clear();
    this.#holds.clear();
  }

  state(): UseState {
    return {
      lastUseMs: this.#lastUseMs,
      leases: [...this.leases].map(([{ key }, { since }]) => ({ key, sinceMs: since })),
      holds: this.#holds.state(),
      waiters: this.#book.waiters.map((waiter) => waiter.state),
    };
  }

  /** Leases of holders that aren't found are none any more; who waited and can't be answered still wants the service. */
  restore(
    { lastUseMs, leases, holds, waiters }: UseState,
    findHolder: (key: string) => LeaseHolder | null,
    findWaiter: (state: WaiterState) => Waiter | null,
  ): void {
    this.#lastUseMs = lastUseMs;
    for (const { key, sinceMs } of leases) {
      const holder = findHolder(key);
      if (holder) this.#book.give(holder, sinceMs);
    }
    for (const { key, untilMs } of holds) {
      const holder = [...this.leases.keys()].find((each) => each.key === key);
      if (holder) this.#endAt(holder, untilMs);
    }
    for (const state of waiters) this.await(findWaiter(state) ?? nobody(state));
    this.armIdle();
  }
}

function nobody(state: WaiterState): Waiter {
  return { holder: null, state, granted: () => false, refused: () => {} };
}
