import type { RefusalCode } from '../../../ipc/refusals.js';
import { EPOLLERR, EPOLLHUP, EPOLLOUT, EPOLLRDHUP } from '../../../sys/epoll.js';
import type { EventHandler } from '../../../sys/native-loop.js';
import type { HttpRefusal } from '../../field-section.js';
import {
  answerToFraming,
  codeOfFraming,
  type OwnAnswer,
  ownAnswerBytes,
} from '../../refusal-answer.js';
import { RequestFraming } from '../../request-framing.js';
import type { RequestHead } from '../../request-head.js';
import type { Accepted, NativeConnection } from '../context.js';
import { ClientOrigin } from './client-origin.js';
import { Exchange } from './exchange.js';
import { FreeList } from './free-list.js';
import type { HttpFront, HttpListener } from './http-front.js';
import { INPUT_AT, bytes as memoryBytes } from './memory.js';
import { AT_END, BROKEN, NOTHING_NOW, PEER_EVENTS, Peer } from './peer.js';
import { SendWatch } from './send-watch.js';

/** A FIN this soon after the last byte is a client's that has said all and still listens. */
const HALF_CLOSE_MS = 100;
/** After the last word: what the client still sends is read that long, so that no reset overtakes it (RFC 9112 9.6). */
const LINGER_MS = 2000;
const LINGER_BYTES = 1024 * 1024;
/** What is read of one client before others have their turn. */
const TURN_BYTES = 64 * 1024;

const framings = new FreeList(() => new RequestFraming(), 256);

/** `closing`: the last words are on their way; `lingering`: they are sent, and the client is to end. */
type State = 'open' | 'closing' | 'lingering' | 'gone';

/**
 * A client of an `http` listener. One request at a time is looked at, and the next one when it is
 * answered; what was read behind it waits in `rest`, and nothing more is read. Idle it holds no buffer.
 */
export class ClientConnection implements NativeConnection, EventHandler {
  readonly service = null;
  readonly isReach = false;
  readonly instance = null;
  readonly peer: Peer;
  exchange: Exchange | null = null;
  /** Null while no request is under way. */
  framing: RequestFraming | null = null;
  /** Read, and not yet looked at. */
  rest: Buffer | null = null;
  /** The request at hand, or the next, is the last one. */
  isLast: boolean;
  /** When the last byte came, or the last answer ended. */
  lastMs: number;
  readonly origin: ClientOrigin;
  #headSinceMs: number | null = null;
  #sendWatch: SendWatch | null = null;
  #lingerUntilMs = 0;
  #lingerBytes = LINGER_BYTES;
  #state: State = 'open';
  /** The client itself has said that the request at hand is its last. */
  #isLastSaid = false;
  #isNextLast = false;
  #hasServed = false;
  #hasEnded = false;
  #isReading = false;

  constructor(
    readonly front: HttpFront,
    readonly listener: HttpListener,
    readonly accepted: Accepted,
    /** Every request is refused with it. */
    readonly refusal: RefusalCode | null,
  ) {
    this.peer = new Peer(accepted.fd);
    this.origin = new ClientOrigin(accepted, listener);
    this.isLast = refusal !== null;
    this.lastMs = front.context.loop.nowMs;
    front.context.loop.add(accepted.fd, PEER_EVENTS, this);
    front.context.connections.add(this);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  onEvents(events: number): void {
    const { peer, exchange } = this;
    // The bit comes again with every later event.
    const isNewEnd = (events & EPOLLRDHUP) !== 0 && !peer.hasHungUp;
    peer.note(events);
    if (this.#state !== 'open') return this.#linger();
    if (exchange === null) return this.advance();
    if (events & (EPOLLERR | EPOLLHUP)) return this.leave();
    exchange.onClientEvents((events & EPOLLOUT) !== 0);
    if (isNewEnd && this.exchange === exchange) this.#judgeEnd(exchange);
  }

  /** Reads on as long as every request is answered at once. */
  advance(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    let leftBytes = TURN_BYTES;
    while (this.#mayRead()) {
      const { rest } = this;
      if (rest !== null) {
        this.rest = null;
        this.#read(rest, 0, rest.length);
        continue;
      }
      if (!this.peer.isReadable) break;
      if (leftBytes <= 0) {
        this.front.context.loop.soon(() => this.advance());
        break;
      }
      const received = this.#receive();
      if (received <= 0) break;
      leftBytes -= received;
      this.#read(memoryBytes, INPUT_AT, INPUT_AT + received);
    }
    this.#isReading = false;
    // What came of a body behind its head may be all: no event tells of it again.
    this.exchange?.moveUpload();
    if (this.framing?.isBetweenRequests && this.rest === null) {
      this.#giveFraming();
    }
  }

  #giveFraming(): void {
    const { framing } = this;
    if (framing === null) return;
    this.framing = null;
    framing.reset();
    framings.give(framing);
  }

  #mayRead(): boolean {
    if (this.#state !== 'open' || this.exchange !== null) return false;
    if (this.peer.flush()) return true;
    if (this.peer.isBroken) this.destroy();
    return false;
  }

  #receive(): number {
    const received = this.peer.receive();
    if (received > 0) this.lastMs = this.front.context.loop.nowMs;
    else if (received === AT_END) this.finish();
    else if (received === BROKEN) this.destroy();
    return received;
  }

  #read(bytes: Buffer, from: number, to: number): void {
    this.framing ??= framings.take();
    const { framing } = this;
    for (let at = from; ; ) {
      const step = framing.read(bytes, at, to);
      at = framing.position;
      if (step === 'need-more') {
        if (!framing.isBetweenRequests) this.#headSinceMs ??= this.lastMs;
        return;
      }
      if (step === 'refusal') return this.#refuseFraming(framing.refusal as HttpRefusal);
      if (step !== 'head') return;
      at = this.#begin(framing, bytes, at, to);
      if (this.#state !== 'open') return;
      if (this.exchange !== null || this.peer.pending !== null) return this.keepRest(bytes, at, to);
    }
  }

  /** Returns how far the request's bytes were taken. */
  #begin(framing: RequestFraming, bytes: Buffer, at: number, to: number): number {
    const { head } = framing;
    this.#headSinceMs = null;
    this.#isLastSaid ||= !head.keepAlive;
    this.isLast ||= !head.keepAlive;
    const exchange = new Exchange(this, head, this.lastMs);
    this.exchange = exchange;
    if (head.framing.kind === 'none') {
      framing.read(bytes, at, to);
      exchange.isRequestEnded = true;
    }
    exchange.begin();
    return exchange.isOver ? at : exchange.takeBody(bytes, at, to);
  }

  /** Bytes that are for later. */
  keepRest(bytes: Buffer, at: number, to: number): void {
    if (at >= to) return;
    const left = bytes.subarray(at, to);
    this.rest = bytes === memoryBytes ? Buffer.from(left) : left;
  }

  /** The client sends no more. Whether it left or waits for its answer, only time can tell. */
  #judgeEnd(exchange: Exchange): void {
    if (!exchange.isRequestEnded) return;
    let isPatient = this.front.context.loop.nowMs - this.lastMs < HALF_CLOSE_MS;
    if (this.rest === null) {
      const received = this.peer.receive();
      if (received === BROKEN) return this.leave();
      if (received === NOTHING_NOW) return;
      if (received > 0) {
        this.keepRest(memoryBytes, INPUT_AT, INPUT_AT + received);
        isPatient = true;
      }
    }
    if (!isPatient && exchange.head.keepAlive) this.leave();
  }

  /** Answers in the gateway's own words; `head` is that of the request, if it came so far. */
  answer(answer: OwnAnswer, closes: boolean, head: RequestHead | null): void {
    const connection = closes ? 'close' : head?.minorVersion === 0 ? 'keep-alive' : null;
    this.peer.sendBytes(ownAnswerBytes(answer, connection, head?.method !== 'HEAD'));
  }

  /** The request at hand is answered: on to the next one. */
  requestDone(closes: boolean): void {
    if (this.#state !== 'open') return;
    const isAllHere = this.exchange?.isRequestEnded === true && this.rest === null;
    this.exchange = null;
    this.#hasServed = true;
    if (closes || this.isLast) return this.finish(isAllHere && this.#isLastSaid);
    this.isLast = this.#isNextLast;
    if (this.framing?.isHeld) this.framing.continueHttp();
    this.lastMs = this.front.context.loop.nowMs;
    this.advance();
  }

  #refuseFraming(refusal: HttpRefusal): void {
    const code = codeOfFraming(refusal);
    const { host } = this.front.context;
    const { source } = this.accepted;
    const { name } = this.listener;
    host.logRefusal({ listener: name, service: null, source, code, detail: refusal.reason });
    this.answer(answerToFraming(refusal), true, null);
    this.finish();
  }

  /** Ends an idle connection now (`keepsIdle`: when it has been that as long as a request may take), a busy one after the answer. */
  closeWhenIdle(keepsIdle: boolean): void {
    // Its answer may have promised that more requests are welcome: the next one says that it is the last.
    if (keepsIdle && this.exchange !== null) this.#isNextLast = true;
    else this.isLast = true;
    if (keepsIdle || !this.#isIdle) return;
    // Its next request may be here already, and the event that tells of it not yet.
    this.peer.isReadable = true;
    this.advance();
    if (this.#isIdle && this.#hasServed) this.finish();
  }

  get #isIdle(): boolean {
    return this.#state === 'open' && this.exchange === null && this.framing === null;
  }

  sweep(nowMs: number): void {
    const { headMs, idleMs } = this.front.limits;
    if (this.#isStuck(nowMs)) {
      this.leave(true);
    } else if (this.#state === 'lingering') {
      if (nowMs > this.#lingerUntilMs) this.destroy();
    } else if (this.#state === 'closing') {
      return;
    } else if (this.exchange !== null) {
      this.exchange.sweep(nowMs);
    } else if (this.#headSinceMs !== null) {
      if (nowMs - this.#headSinceMs <= headMs) return;
      this.#refuseFraming({ status: 408, reason: 'not sent in time' });
    } else if (nowMs - this.lastMs > (this.isLast ? headMs : idleMs)) {
      this.finish();
    }
  }

  /** The client takes no more of what there is for it. */
  #isStuck(nowMs: number): boolean {
    if (this.peer.isWritable && this.#sendWatch === null) return false;
    this.#sendWatch ??= new SendWatch();
    return this.#sendWatch.isStuck(this.peer, nowMs, this.front.limits.sendMs);
  }

  /**
   * Says no more, and closes when all is sent; what the client still sends is dropped. `hasEnded`: it
   * said that it sends nothing more.
   */
  finish(hasEnded = false): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#hasEnded = hasEnded;
    this.exchange = null;
    this.rest = null;
    this.#giveFraming();
    this.#linger();
  }

  #linger(): void {
    const { peer } = this;
    if (this.#state === 'closing') {
      if (!peer.flush()) {
        if (peer.isBroken) this.destroy();
        return;
      }
      if (this.#hasEnded && !peer.isReadable) return this.destroy();
      this.#state = 'lingering';
      this.#lingerUntilMs = performance.now() + LINGER_MS;
      peer.endSending();
    }
    while (this.#state === 'lingering' && peer.isReadable) {
      const received = peer.receive();
      if (received === NOTHING_NOW) return;
      this.#lingerBytes -= received;
      if (received <= 0 || this.#lingerBytes < 0) this.destroy();
    }
  }

  /** Closes so that the client notices that the answer isn't whole. */
  breakOff(isDelimitedByClose: boolean): void {
    if (isDelimitedByClose) this.destroy(true);
    else this.finish();
  }

  /** The client is gone, or given up: nobody waits for the answer. */
  leave(resets = false): void {
    const { exchange } = this;
    this.destroy(resets);
    exchange?.onClientLeft();
  }

  /** `resets`: what wasn't delivered is dropped, and the client sees that something is missing. */
  destroy(resets = false): void {
    if (!this.#detach()) return;
    this.front.context.loop.forget(this.peer.fd);
    if (resets) this.peer.reset();
    else this.peer.close();
  }

  /** Lets go of the descriptor, which is somebody else's from here on. False: that was so already. */
  #detach(): boolean {
    if (this.#state === 'gone') return false;
    this.#state = 'gone';
    this.exchange = null;
    this.#giveFraming();
    this.front.context.connections.delete(this);
    return true;
  }

  /** HTTP is over here. */
  handOver(): number {
    // Its head stays with the exchange, for the log.
    this.framing = null;
    this.#detach();
    return this.peer.fd;
  }
}
