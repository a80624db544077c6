import type { Socket } from 'node:net';
import type { Refusal } from '../ipc/refusals.js';
import type { Demand, UpstreamSocket, Use } from './engine.js';
import type { ServiceDesk } from './service-desk.js';

/** One use of a lease: a relayed connection, or a request that is more than counted. */
export class LeasedUse implements Use {
  readonly service: string;
  #state: 'active' | 'quiet' | 'ended' = 'active';

  constructor(
    private readonly desk: ServiceDesk,
    private readonly demand: Demand,
    readonly instance: number,
  ) {
    this.service = demand.service;
  }

  async dial(): Promise<Socket> {
    const { sockets, lease } = this.desk;
    if (!sockets || lease.grant?.instance !== this.instance) throw this.#gone();
    return sockets.dial(this.demand);
  }

  takeSocket(): UpstreamSocket | null {
    return this.#isCurrent ? (this.desk.sockets?.take(this.demand) ?? null) : null;
  }

  async awaitSocket(): Promise<UpstreamSocket> {
    const { sockets } = this.desk;
    if (!sockets || !this.#isCurrent) throw this.#gone();
    return sockets.awaitSocket(this.demand);
  }

  get #isCurrent(): boolean {
    return this.desk.lease.grant?.instance === this.instance;
  }

  setQuiet(): void {
    if (this.#state !== 'active') return;
    this.#state = 'quiet';
    this.desk.lease.leave(this.instance);
  }

  async resume(): Promise<void> {
    if (this.#state !== 'quiet') return;
    this.#state = 'active';
    const grant = this.desk.lease.tryUse() ?? (await this.desk.hold(this.demand));
    // It may have ended, or have been made quiet again, while it waited.
    if (this.#state === 'active' && grant.instance === this.instance) return;
    this.desk.lease.leave(grant.instance);
    if (this.#state === 'active') {
      this.#state = 'quiet';
      throw this.#gone();
    }
  }

  end(): void {
    if (this.#state === 'ended') return;
    const wasActive = this.#state === 'active';
    this.#state = 'ended';
    if (wasActive) this.desk.lease.leave(this.instance);
    this.desk.leave(this.demand);
  }

  #gone(): Refusal {
    return this.desk.gate.refuse('upstream-failed', null, 'the instance is gone');
  }
}
