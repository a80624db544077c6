import type { ServiceTerms } from '../ipc/gateway-config.js';
import type { Refusal } from '../ipc/refusals.js';

/** A lease is kept for a moment after the last use, so that busy services cost no messages. */
const MAX_LINGER_MS = 1000;

export interface Grant {
  readonly instance: number;
}

export interface LeaseEvents {
  /** Asks the supervisor. */
  readonly onWanted: () => void;
  /** Nothing uses the instance any more: pooled connections and sockets go before the lease does. */
  readonly onReleased: (instance: number, idleMs: number) => void;
}

interface Waiting {
  readonly resolve: (grant: Grant) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * This gateway's right to use one service: asked for once for any number of demands, kept while
 * something uses the service, given back after that. From the release on nothing is dialled without
 * asking again.
 */
export class ServiceLease {
  readonly #waiting = new Set<Waiting>();
  #grant: Grant | null = null;
  #isAsked = false;
  #users = 0;
  #lastUseMs = 0;
  #linger: NodeJS.Timeout | null = null;

  constructor(
    private idle: ServiceTerms['idle'],
    private readonly events: LeaseEvents,
  ) {}

  get waiting(): number {
    return this.#waiting.size;
  }

  get users(): number {
    return this.#users;
  }

  get grant(): Grant | null {
    return this.#grant;
  }

  update(idle: ServiceTerms['idle']): void {
    this.idle = idle;
  }

  /** One more user, at once; false: the lease has to be waited for. */
  tryUse(): Grant | null {
    if (!this.#grant) return null;
    this.#users += 1;
    return this.#grant;
  }

  /** One more user when the lease is there. `signal` gives up waiting. Rejects with a `Refusal` or the signal's reason. */
  use(signal?: AbortSignal): Promise<Grant> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const giveUp = () => settle(() => reject(signal?.reason));
      const settle = (act: () => void) => {
        this.#waiting.delete(waiting);
        signal?.removeEventListener('abort', giveUp);
        act();
      };
      const waiting: Waiting = {
        resolve: (grant) => settle(() => resolve(grant)),
        reject: (reason) => settle(() => reject(reason)),
      };
      this.#waiting.add(waiting);
      signal?.addEventListener('abort', giveUp, { once: true });
      if (!this.#isAsked) {
        this.#isAsked = true;
        this.events.onWanted();
      }
    });
  }

  /** The use of this incarnation is over, or paused. */
  leave(instance: number, nowMs = performance.now()): void {
    if (this.#grant?.instance !== instance) return;
    this.#users -= 1;
    this.#lastUseMs = nowMs;
    if (this.#users === 0) this.#armLinger();
  }

  granted(grant: Grant): void {
    this.#isAsked = false;
    const isSame = this.#grant?.instance === grant.instance;
    this.#grant = grant;
    this.#users = (isSame ? this.#users : 0) + this.#waiting.size;
    this.#lastUseMs = performance.now();
    for (const waiting of [...this.#waiting]) waiting.resolve(grant);
    if (this.#users === 0) this.#armLinger();
  }

  refused(refusal: Refusal): void {
    this.#isAsked = false;
    for (const waiting of [...this.#waiting]) waiting.reject(refusal);
  }

  /** The incarnation is no more: the lease ended with it. */
  lost(instance: number): void {
    if (this.#grant?.instance !== instance) return;
    this.#grant = null;
    this.#users = 0;
    this.#disarm();
  }

  /** Gives it back now where nothing uses it. */
  yieldNow(): void {
    if (this.#grant && this.#users === 0) this.#release(this.#grant);
  }

  #armLinger(): void {
    const shortestMs = Math.min(
      this.idle.freezeMs ?? Number.POSITIVE_INFINITY,
      this.idle.stopMs ?? Number.POSITIVE_INFINITY,
    );
    this.#linger ??= setTimeout(() => this.#look(), Math.min(MAX_LINGER_MS, shortestMs / 2));
  }

  #look(): void {
    this.#linger = null;
    if (this.#grant && this.#users === 0) this.#release(this.#grant);
  }

  #release({ instance }: Grant): void {
    this.#disarm();
    this.#grant = null;
    this.events.onReleased(instance, Math.round(performance.now() - this.#lastUseMs));
  }

  #disarm(): void {
    if (this.#linger) clearTimeout(this.#linger);
    this.#linger = null;
  }
}
