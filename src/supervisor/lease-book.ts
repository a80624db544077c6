import type { ConnectionEnds } from '../ipc/messages.js';
import type { Refusal } from '../ipc/refusals.js';
import type { Instance } from './instance.js';

/** Who has a lease: a gateway, or the supervisor itself for processes that it put on connections. */
export interface LeaseHolder {
  readonly name: string;
  /** By which an upgraded supervisor finds it again. */
  readonly key: string;
}

/** The holder of leases that `rouse hold` took. */
export const COMMAND: LeaseHolder = { name: 'rouse hold', key: 'command' };
/** The holder of a lease that a service has for itself. */
export const ITSELF: LeaseHolder = { name: 'the service itself', key: 'itself' };

/** Who waits, as an upgraded supervisor needs to know it. */
export type WaiterState =
  /** Nobody who could still be answered. */
  | { readonly kind: 'readiness' }
  /** A gateway, by the epoch of its lane. */
  | { readonly kind: 'lane'; readonly epoch: string }
  /** A connection that a gateway handed over. */
  | {
      readonly kind: 'connection';
      readonly epoch: string;
      readonly id: number;
      readonly fd: number;
      readonly ends: ConnectionEnds;
    };

export interface Waiter {
  readonly state: WaiterState;
  /** null: waits for readiness only (`rouse wake`). */
  readonly holder: LeaseHolder | null;
  /** The connection that proved readiness goes to the first who takes it (returns true). */
  granted(instance: Instance, connectionFd: number | null): boolean;
  refused(refusal: Refusal): void;
}

/** Who uses a service, and who waits for it. */
export class LeaseBook {
  readonly #leases = new Map<LeaseHolder, { readonly since: number }>();
  #waiters: Waiter[] = [];

  get leases(): ReadonlyMap<LeaseHolder, { readonly since: number }> {
    return this.#leases;
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  get waiters(): readonly Waiter[] {
    return this.#waiters;
  }

  await(waiter: Waiter): void {
    this.#waiters.push(waiter);
  }

  /** Gives a lease, or leaves the one that is there. */
  give(holder: LeaseHolder, sinceMs = Date.now()): void {
    if (!this.#leases.has(holder)) this.#leases.set(holder, { since: sinceMs });
  }

  /** False: the holder had none. */
  end(holder: LeaseHolder): boolean {
    return this.#leases.delete(holder);
  }

  /** The holder is no more: nor does it wait. False: it had no lease. */
  forget(holder: LeaseHolder): boolean {
    this.#waiters = this.#waiters.filter((waiter) => waiter.holder !== holder);
    return this.end(holder);
  }

  /** All leases end with the instance. */
  clear(): void {
    this.#leases.clear();
  }

  /** Answers all who wait. Whether somebody took the connection. */
  grantAll(instance: Instance, connectionFd: number | null): boolean {
    let isTaken = false;
    for (const waiter of this.#takeWaiters()) {
      if (waiter.holder) this.give(waiter.holder);
      if (waiter.granted(instance, isTaken ? null : connectionFd)) isTaken = true;
    }
    return isTaken;
  }

  refuseAll(refusal: Refusal): void {
    for (const waiter of this.#takeWaiters()) waiter.refused(refusal);
  }

  #takeWaiters(): Waiter[] {
    const waiters = this.#waiters;
    this.#waiters = [];
    return waiters;
  }
}
