import type { ServiceTerms } from '../ipc/gateway-config.js';
import type { ServiceCounters } from '../ipc/messages.js';
import { Refusal } from '../ipc/refusals.js';
import type { Demand, RequestUses, Use } from './engine.js';
import { LeasedUse } from './leased-use.js';
import { ServiceGate } from './service-gate.js';
import { type Grant, type LeaseEvents, ServiceLease } from './service-lease.js';
import { sourceAddress } from './source-address.js';
import type { UpstreamSockets } from './upstream-sockets.js';

export interface DeskEvents extends LeaseEvents {
  /** Somebody began or stopped waiting for the lease. */
  readonly onWaiting: (desk: ServiceDesk) => void;
  /** From here on `takeCounters` may have something to tell, until it says null. */
  readonly onCounting: (desk: ServiceDesk) => void;
}

/** What a gateway keeps for one service: who may use it, its lease, and what is counted. */
export class ServiceDesk implements RequestUses {
  readonly gate: ServiceGate;
  readonly lease: ServiceLease;
  /** Of the incarnation that the lease is for. */
  sockets: UpstreamSockets | null = null;
  /** The demand that is told to the supervisor when the lease is asked for. */
  latest: Demand | null = null;
  handingOver = 0;
  #requestsInFlight = 0;
  #requestsTotal = 0;
  /** Of the gate, when the counters were taken last. */
  #reportedChanges = 0;
  #isCounting = false;

  constructor(
    /** The service's. */
    readonly name: string,
    terms: ServiceTerms,
    private readonly events: DeskEvents,
  ) {
    this.gate = new ServiceGate(terms, performance.now());
    this.lease = new ServiceLease(terms.idle, events);
  }

  get instance(): number | null {
    return this.lease.grant?.instance ?? null;
  }

  begin(sourceIp: string, nowMs: number): void {
    this.#noteCounting();
    this.gate.enter(sourceIp, nowMs);
    this.lease.tryUse();
    this.#requestsInFlight += 1;
    this.#requestsTotal += 1;
  }

  end(instance: number, sourceIp: string, nowMs: number): void {
    this.lease.leave(instance, nowMs);
    this.gate.leave(sourceIp);
    this.#requestsInFlight -= 1;
  }

  toUse(demand: Demand): Use {
    return new LeasedUse(this, demand, this.instance ?? -1);
  }

  /** Counts somebody in who has the lease, or will have it. Throws a `Refusal`. */
  enter({ source, protocol }: Demand): void {
    this.#noteCounting();
    this.gate.enter(sourceAddress(source), performance.now());
    if (!isHttp(protocol)) return;
    this.#requestsInFlight += 1;
    this.#requestsTotal += 1;
  }

  /** Counts them out. */
  leave({ source, protocol }: Demand): void {
    this.gate.leave(sourceAddress(source));
    if (isHttp(protocol)) this.#requestsInFlight -= 1;
  }

  /** The lease, once it is there; the demand is held meanwhile. Rejects with a `Refusal` or an `AbortError`. */
  async hold(demand: Demand, signal?: AbortSignal): Promise<Grant> {
    const { gate, lease } = this;
    const { limits } = gate.terms;
    if (lease.waiting >= limits.held) throw gate.refuse('held-limit', 1000);
    this.latest = demand;
    const age = new AbortController();
    const timer = setTimeout(() => age.abort(gate.refuse('held-age', 1000)), limits.heldAgeMs);
    const onAbort = () => age.abort(abortError());
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      const granted = lease.use(age.signal);
      this.events.onWaiting(this);
      return await granted;
    } catch (error) {
      if (error instanceof Refusal && error.code !== 'held-age') gate.refuse(error.code);
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      this.events.onWaiting(this);
    }
  }

  #noteCounting(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    this.events.onCounting(this);
  }

  /** What changed since the last call; null: nothing, and nobody is here. */
  takeCounters(): ServiceCounters | null {
    const { name, gate, lease, handingOver } = this;
    this.#isCounting = gate.open > 0 || gate.changes !== this.#reportedChanges;
    if (!this.#isCounting) return null;
    this.#reportedChanges = gate.changes;
    const held = lease.waiting + handingOver;
    return {
      name,
      connections: Math.max(0, gate.open - held),
      held,
      requestsInFlight: Math.max(0, this.#requestsInFlight),
      requestsTotal: this.#requestsTotal,
      refusals: { ...gate.refusals },
    };
  }
}

export function isHttp(protocol: string): boolean {
  return protocol === 'http' || protocol === 'https';
}

function abortError(): Error {
  const error = new Error('the client went away');
  error.name = 'AbortError';
  return error;
}
