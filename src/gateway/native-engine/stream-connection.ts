import { closeFd } from '../../sys/descriptors.js';
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLRDHUP } from '../../sys/epoll.js';
import type { EventHandler } from '../../sys/native-loop.js';
import type { Demand, RouteMatch, UpstreamSocket, Use } from '../engine.js';
import { type Accepted, type NativeConnection, type NativeContext, refusalOf } from './context.js';
import { Dialer, type DialerOwner } from './dialer.js';
import { Duplex, type DuplexOwner } from './duplex.js';

/** One relayed connection of a `tcp` or `tls` listener, from its acceptance to its end. */
export class StreamConnection
  implements NativeConnection, Demand, DuplexOwner, DialerOwner, EventHandler
{
  readonly #beganMs: number;
  #firstBytes: Buffer | null;
  #abort: AbortController | null = null;
  #use: Use | null = null;
  #dialer: Dialer | null = null;
  #duplex: Duplex | null = null;
  /** Where the upstream's socket leads; null: it can't be used again. */
  #target: UpstreamSocket['target'] = null;
  #heldMs = 0;
  #quietSinceMs = 0;
  #isOver = false;

  constructor(
    private readonly context: NativeContext,
    private readonly accepted: Accepted,
    private readonly match: RouteMatch,
    /** The server name that led here; null: none did. */
    private readonly name: string | null,
    /** Read from the client already. */
    firstBytes: Buffer | null,
  ) {
    this.#beganMs = context.loop.nowMs;
    this.#firstBytes = firstBytes;
    context.connections.add(this);
    this.#begin();
  }

  get service(): string {
    return this.match.service;
  }

  get upstream(): string {
    return this.match.upstream;
  }

  get listener(): string {
    return this.accepted.listener.name;
  }

  get protocol(): string {
    return this.accepted.listener.protocol;
  }

  get source(): string {
    return this.accepted.source;
  }

  get destination(): string {
    return this.accepted.destinationText;
  }

  get instance(): number | null {
    return this.#use?.instance ?? null;
  }

  get isReach(): boolean {
    return this.accepted.listener.fixedService !== null;
  }

  #begin(): void {
    try {
      const use = this.context.host.tryAcquire(this);
      if (use) this.#dial(use);
      else this.#hold();
    } catch (thrown) {
      this.#refuse(thrown);
    }
  }

  #hold(): void {
    const { host, loop } = this.context;
    loop.add(this.accepted.fd, EPOLLRDHUP | EPOLLET, this);
    loop.needTurn();
    this.#abort = new AbortController();
    host.acquire(this, this.#abort.signal).then(
      (use) => {
        this.#heldMs = loop.nowMs - this.#beganMs;
        if (this.#isOver) use.end();
        else this.#dial(use);
      },
      (thrown) => this.#refuse(thrown),
    );
  }

  /** While it is held: a reset can be told from a half-close, and who is gone is held no longer. */
  onEvents(events: number): void {
    if (!(events & (EPOLLERR | EPOLLHUP))) return;
    this.context.loop.needTurn();
    this.destroy();
  }

  #closeClient(): void {
    this.context.loop.forget(this.accepted.fd);
    closeFd(this.accepted.fd);
  }

  #dial(use: Use): void {
    const { loop, spares } = this.context;
    const { service, upstream } = this.match;
    this.#use = use;
    const spare = spares.take(service, use.instance, upstream);
    this.#dialer = new Dialer(use, loop, this);
    if (spare) this.#dialer.connect(spare);
    else this.#dialer.dial();
  }

  onSocket(fd: number, isConnected: boolean, target: UpstreamSocket['target']): void {
    const { loop, pipes } = this.context;
    const isFirst = this.#duplex === null;
    this.#target = target;
    this.#duplex ??= new Duplex(this.accepted.fd, loop, pipes, this);
    try {
      if (isFirst) this.#duplex.start(fd, isConnected, this.#firstBytes);
      else this.#duplex.redial(fd, isConnected);
    } catch (thrown) {
      this.#logRefusal(thrown);
    }
    this.#firstBytes = null;
  }

  onRefused(): void {
    this.#dialer?.redial();
  }

  onDialFailed(thrown: unknown): void {
    this.#refuse(thrown);
  }

  #refuse(thrown: unknown): void {
    if (this.#isOver) return;
    this.#logRefusal(thrown);
    this.destroy();
  }

  #logRefusal(thrown: unknown): void {
    const refusal = refusalOf(thrown);
    if (!refusal) return;
    const { code, detail } = refusal;
    const { listener, service, source } = this;
    this.context.host.logRefusal({ listener, service, source, code, detail });
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

  takeBack(upstreamFd: number): boolean {
    const target = this.#target;
    if (target === null || this.#use === null) return false;
    const { service, upstream } = this.match;
    const socket = { fd: upstreamFd, target };
    return this.context.spares.give(service, this.#use.instance, upstream, socket);
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
    if (this.context.host.logsAccess) this.#logAccess();
    this.#end();
  }

  #logAccess(): void {
    const { host, loop } = this.context;
    const { listener, service, source, destination, name } = this;
    host.logAccess({
      listener,
      service,
      source,
      destination,
      name,
      bytesIn: this.#duplex?.bytesIn ?? 0,
      bytesOut: this.#duplex?.bytesOut ?? 0,
      durationMs: loop.nowMs - this.#beganMs,
      heldMs: this.#heldMs,
    });
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
