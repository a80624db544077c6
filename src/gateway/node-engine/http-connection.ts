import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { HttpRefusal } from '../field-section.js';
import { RequestFraming } from '../request-framing.js';
import type { RequestHead } from '../request-head.js';
import { ClientClock } from './client-clock.js';
import type { EngineLimits } from './limits.js';
import { SendWatch } from './send-watch.js';
import { closeLingering, resetSocket } from './sockets.js';
import type { Sweeps } from './sweeps.js';

/** A FIN this soon after the last byte is a client's that has said all and still listens. */
const HALF_CLOSE_MS = 100;
const EMPTY = Buffer.alloc(0);

export interface HttpConnectionOptions {
  readonly limits: EngineLimits;
  readonly sweeps: Sweeps;
  /** The client sent what nobody may read: between requests, or within one that `begin` announced. */
  readonly onRefusal: (refusal: HttpRefusal) => void;
}

/**
 * What Node's HTTP server gets for a socket: a client's bytes after the framing guard has read them,
 * one request at a time. The next request is let through when the last one is answered; so answers
 * keep their order, a refusal comes after the answers before it, and two parsers never disagree on
 * where a request ends.
 */
export class HttpConnection extends Duplex {
  /** The request that is let through and not yet answered. */
  head: RequestHead | null = null;
  /** As received from the client and as sent to it, since the connection began. */
  bytesIn = 0;
  bytesOut = 0;
  /** The request at hand is the last one. */
  isLast = false;
  #isNextLast = false;

  readonly #client: Socket;
  readonly #options: HttpConnectionOptions;
  readonly #framing = new RequestFraming();
  readonly #stopWatching: () => void;
  readonly #clock: ClientClock;
  readonly #sendWatch = new SendWatch();
  #input: Buffer = EMPTY;
  #position = 0;
  #isRequestEnded = false;
  /** The answer is out before the request was all there. */
  #isAnswered = false;
  #isFull = false;
  #isClientEnded = false;
  #isPatient = false;
  #isLeft = false;

  constructor(client: Socket, options: HttpConnectionOptions) {
    super({ allowHalfOpen: true, highWaterMark: 64 * 1024 });
    this.#client = client;
    this.#options = options;
    this.#clock = new ClientClock(options.limits);
    const { headMs, bodyMs, idleMs, sendMs } = options.limits;
    const shortestMs = Math.min(headMs, bodyMs, idleMs, sendMs);
    this.#stopWatching = options.sweeps.watch(shortestMs, (nowMs) => this.#checkTime(nowMs));
    client.on('data', this.#onData);
    client.on('end', this.#onEnd);
    client.on('close', this.#onClose);
    client.resume();
  }

  /** No request is under way. */
  get isIdle(): boolean {
    return this.head === null && this.#framing.isBetweenRequests && this.#isAllRead;
  }

  get #isAllRead(): boolean {
    return this.#position === this.#input.length;
  }

  /** The request is answered: lets the next one through, or closes where this was the last. */
  finishRequest(): void {
    if (this.#isLeft) return;
    if (!this.#isRequestEnded && this.head !== null && !this.isLast) {
      // Node's parser takes the rest of the body and drops it.
      this.#isAnswered = true;
      this.#advance();
      return;
    }
    this.#isAnswered = false;
    this.#isRequestEnded = false;
    this.head = null;
    if (this.isLast) {
      this.close();
      return;
    }
    this.isLast = this.#isNextLast;
    if (this.#framing.isHeld) this.#framing.continueHttp();
    this.#clock.noteProgress();
    this.#advance();
  }

  /** The request's body is wanted: from here on its bytes must keep coming. */
  awaitBody(): void {
    this.#clock.awaitBody();
  }

  /** Ends an idle connection now (`keepsIdle`: after its next answer, or when it has been idle for long), a busy one after the answer. */
  closeWhenIdle(keepsIdle: boolean): void {
    if (this.isIdle && !keepsIdle) this.close();
    // Its answer may have promised that more requests are welcome: the next one says that it is the last.
    else if (keepsIdle && this.head !== null) this.#isNextLast = true;
    else this.isLast = true;
  }

  /** Says no more (but `lastWords`) and closes; what the client still sends is dropped. */
  close(lastWords?: Uint8Array): void {
    if (this.#isLeft) return;
    this.#leave();
    if (lastWords !== undefined) this.bytesOut += lastWords.length;
    closeLingering(this.#client, lastWords, this.#options.limits.sendMs);
    this.destroy();
  }

  /** Closes so that the client notices that the answer isn't whole. */
  breakOff(isDelimitedByClose: boolean): void {
    if (this.#isLeft) return;
    if (!isDelimitedByClose) {
      this.close();
      return;
    }
    this.#leave();
    resetSocket(this.#client);
    this.destroy();
  }

  /** Bytes between the answers: an informational response. */
  writeAside(bytes: string): void {
    this.bytesOut += bytes.length;
    this.#client.write(bytes, 'latin1');
  }

  /** The client's socket, paused, and what came after the upgrade request: HTTP is over here. */
  takeOver(): { readonly socket: Socket; readonly bytes: Buffer } {
    this.#leave();
    this.#client.pause();
    this.head = null;
    setImmediate(() => this.destroy());
    return { socket: this.#client, bytes: this.#input.subarray(this.#position) };
  }

  override _read(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#clock.noteProgress();
    this.#advance();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.bytesOut += chunk.length;
    if (this.#isLeft || this.#client.write(chunk)) done();
    else this.#afterDrain(done);
  }

  override _writev(
    chunks: Array<{ chunk: Buffer; encoding: BufferEncoding }>,
    done: (error?: Error) => void,
  ): void {
    this.#client.cork();
    for (const { chunk } of chunks) {
      this.bytesOut += chunk.length;
      if (!this.#isLeft) this.#client.write(chunk);
    }
    this.#client.uncork();
    if (this.#isLeft || !this.#client.writableNeedDrain) done();
    else this.#afterDrain(done);
  }

  override _final(done: () => void): void {
    done();
    this.close();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#isLeft) {
      this.#leave();
      this.#client.destroy();
    }
    done(error);
  }

  #afterDrain(done: () => void): void {
    const client = this.#client;
    const finish = (): void => {
      client.off('drain', finish).off('close', finish);
      done();
    };
    client.once('drain', finish).once('close', finish);
  }

  #leave(): void {
    this.#isLeft = true;
    this.#stopWatching();
    this.#client.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.bytesIn += chunk.length;
    this.#clock.noteProgress();
    this.#input = this.#isAllRead
      ? chunk
      : Buffer.concat([this.#input.subarray(this.#position), chunk]);
    this.#position = 0;
    this.#advance();
  };

  readonly #onEnd = (): void => {
    this.#isClientEnded = true;
    this.#isPatient = this.#clock.waitedMs < HALF_CLOSE_MS;
    this.#judgeEnd();
  };

  readonly #onClose = (): void => {
    this.destroy();
  };

  /** Reads on as far as the answers and back-pressure allow. */
  #advance(): void {
    while (!this.#isLeft && !this.#isFull) {
      if (this.head !== null && this.#isRequestEnded) break;
      const from = this.#position;
      const step = this.#framing.read(this.#input, from, this.#input.length);
      this.#position = this.#framing.position;
      if (step === 'need-more') break;
      if (!this.#take(step, this.#input.subarray(from, this.#position))) break;
    }
    this.#readOrPause();
  }

  /** False: nothing more is to be read for now. */
  #take(step: ReturnType<RequestFraming['read']>, bytes: Buffer): boolean {
    switch (step) {
      case 'head':
        // What came in earlier pieces is in the head's own bytes only.
        this.#begin(this.#framing.head.copy());
        return true;
      case 'body':
        this.#isFull = !this.push(bytes);
        return true;
      case 'end':
        this.#isRequestEnded = true;
        if (this.#isAnswered) this.finishRequest();
        return false;
      case 'refusal':
        if (this.#framing.refusal !== null) this.#options.onRefusal(this.#framing.refusal);
        return false;
      default:
        return false;
    }
  }

  #begin(head: RequestHead): void {
    this.head = head;
    this.#clock.beginRequest();
    this.isLast ||= !head.keepAlive;
    this.#isFull = !this.push(head.rawBytes);
  }

  #readOrPause(): void {
    if (this.#isLeft) return;
    if (this.#isAllRead) {
      this.#input = EMPTY;
      this.#position = 0;
    }
    if (this.#isFull || !this.#isAllRead) {
      this.#client.pause();
    } else if (this.#client.isPaused()) {
      this.#clock.noteProgress();
      this.#client.resume();
    }
    this.#clock.noteHead(this.head === null && !this.#framing.isBetweenRequests);
    if (this.#isClientEnded) this.#judgeEnd();
  }

  /** The client sends no more. Whether it left or waits for an answer, only time can tell. */
  #judgeEnd(): void {
    if (this.#isLeft || this.#isFull) return;
    if (this.head === null) {
      if (this.#isAllRead) this.close();
    } else {
      const waits = this.#isPatient || !this.head.keepAlive;
      if (!this.#isRequestEnded || !waits) this.destroy();
    }
  }

  #checkTime(nowMs: number): void {
    if (this.#sendWatch.isStuck(this.#client, nowMs, this.#options.limits.sendMs)) {
      resetSocket(this.#client);
      this.destroy();
      return;
    }
    const verdict = this.#clock.check(nowMs, {
      hasRequest: this.head !== null,
      isReadingBody: !this.#isRequestEnded && (!this.#isFull || this.#isAnswered),
    });
    if (verdict === 'idle') this.close();
    if (verdict === 'late') this.#options.onRefusal({ status: 408, reason: 'not sent in time' });
  }
}
