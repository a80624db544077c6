import { closeFd } from '../../sys/descriptors.js';
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLRDHUP } from '../../sys/epoll.js';
import type { Demand, RouteMatch, Use } from '../engine.js';
import { type Accepted, type NativeConnection, type NativeContext, refusalOf } from './context.js';
import { Dialer, type DialerOwner } from './dialer.js';
import { Duplex, type DuplexOwner } from './duplex.js';

/** Where a ClientHello led, or nothing for `tcp`. */
export interface StreamLead {
  readonly name: string | null;
  readonly firstBytes: Buffer | null;
}

/** One relayed connection of a `tcp` or `tls` listener, from its acceptance to its end. */
export class StreamConnection implements NativeConnection, DuplexOwner, DialerOwner {
  readonly #beganMs = performance.now();
  readonly #demand: Demand;
  #abort: AbortController | null = null;
  #use: Use | null = null;
  #dialer: Dialer | null = null;
  #duplex: Duplex | null = null;
  #heldMs = 0;
  #quietSinceMs = 0;
  #isOver = false;

  constructor(
    private readonly context: NativeContext,
    private readonly accepted: Accepted,
    private readonly match: RouteMatch,
    private readonly lead: StreamLead,
  ) {
    const { listener, source, destinationText } = accepted;
    this.#demand = {
      service: match.service,
      upstream: match.upstream,
      listener: listener.name,
      protocol: listener.protocol,
      source,
      destination: destinationText,
    };
    context.connections.add(this);
    this.#begin();
  }

  get service(): string | null {
    return this.match.service;
  }

  get instance(): number | null {
    return this.#use?.instance ?? null;
  }

  get isReach(): boolean {
    return this.accepted.listener.fixedService !== null;
  }

  #begin(): void {
    try {
      const use = this.context.host.tryAcquire(this.#demand);
      if (use) this.#dial(use);
      else this.#hold();
    } catch (thrown) {
      this.#refuse(thrown);
    }
  }

  #hold(): void {
    const { loop } = this.context;
    this.#abort = new AbortController();
    loop.add(this.accepted.fd, EPOLLRDHUP | EPOLLET, {
      onEvents: (events) => this.#onHeldEvents(events),
    });
    loop.needTurn();
    this.context.host.acquire(this.#demand, this.#abort.signal).then(
      (use) => {
        this.#heldMs = performance.now() - this.#beganMs;
        if (this.#isOver) use.end();
        else this.#dial(use);
      },
      (thrown) => this.#refuse(thrown),
    );
  }

  /** A reset can be told from a half-close: who is gone is held no longer. */
  #onHeldEvents(events: number): void {
    if (!(events & (EPOLLERR | EPOLLHUP))) return;
    this.context.loop.needTurn();
    this.destroy();
  }

  #closeClient(): void {
    this.context.loop.forget(this.accepted.fd);
    closeFd(this.accepted.fd);
  }

  #dial(use: Use): void {
    this.#use = use;
    this.#dialer = new Dialer(use, this.context.loop, this);
    this.#dialer.dial();
  }

  onSocket(fd: number, isConnected: boolean): void {
    if (this.#duplex) return this.#duplex.redial(fd, isConnected);
    this.#duplex = new Duplex(this.accepted.fd, this.context.loop, this.context.pipes, this);
    this.#duplex.start(fd, isConnected, this.lead.firstBytes);
  }

  onRefused(): void {
    this.#dialer?.redial();
  }

  onDialFailed(thrown: unknown): void {
    this.#refuse(thrown);
  }

  #refuse(thrown: unknown): void {
    if (this.#isOver) return;
    const refusal = refusalOf(thrown);
    if (refusal) {
      const { listener, source } = this.accepted;
      this.context.host.logRefusal({
        listener: listener.name,
        service: this.match.service,
        source,
        code: refusal.code,
        detail: refusal.detail,
      });
    }
    if (this.#duplex) this.#duplex.destroy();
    else {
      this.#closeClient();
      this.#end();
    }
  }

  /** Quiet when nothing moved for `quietMs`, which is looked at now and then. */
  sweep(nowMs: number): void {
    const duplex = this.#duplex;
    if (!duplex || duplex.isQuiet) return;
    if (duplex.isActive) {
      duplex.isActive = false;
      this.#quietSinceMs = nowMs;
    } else if (nowMs - this.#quietSinceMs >= this.match.quietMs) {
      duplex.setQuiet();
      this.#use?.setQuiet();
    }
  }

  onWanted(): void {
    this.context.loop.needTurn();
    this.#use?.resume().then(
      () => this.#duplex?.resume(),
      () => this.#duplex?.destroy(),
    );
  }

  destroy(): void {
    if (this.#isOver) return;
    if (this.#duplex) this.#duplex.destroy();
    else {
      this.#closeClient();
      this.#end();
    }
  }

  onClosed(): void {
    const { host } = this.context;
    const { listener, source, destinationText } = this.accepted;
    host.logAccess({
      listener: listener.name,
      service: this.match.service,
      source,
      destination: destinationText,
      name: this.lead.name,
      bytesIn: this.#duplex?.bytesIn ?? 0,
      bytesOut: this.#duplex?.bytesOut ?? 0,
      durationMs: performance.now() - this.#beganMs,
      heldMs: this.#heldMs,
    });
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.context.connections.delete(this);
    this.#dialer?.stop();
    this.#abort?.abort();
    this.#use?.end();
  }
}
