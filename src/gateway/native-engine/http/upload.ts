import type { HttpRefusal } from '../../field-section.js';
import type { RequestFraming } from '../../request-framing.js';
import type { ClientConnection } from './client-connection.js';
import { INPUT_AT, bytes as memoryBytes } from './memory.js';
import { AT_END, BROKEN, type Peer } from './peer.js';
import type { RelayedRequest } from './relayed-request.js';
import { SPLICE_FROM_BYTES, SpliceRelay } from './splice-relay.js';

/** What one request may move before others have their turn. */
const TURN_BYTES = 1024 * 1024;
const EMPTY = Buffer.alloc(0);

/** Sends a request's body on as it comes, framed as it is; what finds no room stays with the client. */
export class Upload {
  #splice: SpliceRelay | null = null;

  constructor(private readonly request: RelayedRequest) {}

  get #client(): ClientConnection {
    return this.request.client;
  }

  /** The service takes no more for now: the client isn't waited for. */
  get isBlocked(): boolean {
    return this.request.upstream?.peer.pending != null || !(this.#splice?.isEmpty ?? true);
  }

  /** Sends on what belongs to the request, and returns where that ends. */
  take(bytes: Buffer, from: number, to: number): number {
    const { exchange } = this.request;
    const framing = this.#client.framing as RequestFraming;
    for (let at = from; ; ) {
      const step = framing.read(bytes, at, to);
      const end = framing.position;
      if (step === 'body') {
        this.#pass(bytes, at, end);
        if (exchange.isOver) return end;
      } else if (step === 'end') {
        exchange.isRequestEnded = true;
        return end;
      } else {
        if (step === 'refusal') exchange.refuseFraming(framing.refusal as HttpRefusal);
        return end;
      }
      at = end;
    }
  }

  #pass(bytes: Buffer, from: number, to: number): void {
    this.request.exchange.bytesIn += to - from;
    this.request.sendBody(bytes, from, to);
  }

  /** Moves what there is, up to a bound. */
  move(): void {
    const { request } = this;
    for (let moved = 0; request.isUploading; ) {
      const to = request.upstream?.peer as Peer;
      if (!to.flush() || !(this.#splice?.empty(to) ?? true)) {
        if (to.isBroken) request.onUploadBroken();
        return;
      }
      if (request.exchange.isRequestEnded) return request.onUploaded();
      if (moved >= TURN_BYTES) {
        return this.#client.front.context.loop.soon(() => this.move());
      }
      const count = this.#step();
      if (count < 0) return;
      moved += count;
    }
  }

  /** How many bytes were looked at; negative: there are none now. */
  #step(): number {
    const client = this.#client;
    const { rest } = client;
    if (rest !== null) {
      client.rest = null;
      client.keepRest(rest, this.take(rest, 0, rest.length), rest.length);
      return rest.length;
    }
    if (!client.peer.isReadable) return -1;
    const leftBytes = client.framing?.bodyLeftBytes ?? 0;
    const received =
      leftBytes >= SPLICE_FROM_BYTES && this.#canSplice()
        ? this.#spliceIn(leftBytes)
        : this.#copyIn();
    if (received === AT_END || received === BROKEN) client.leave();
    if (received <= 0) return -1;
    client.lastMs = client.front.context.loop.nowMs;
    return received;
  }

  #copyIn(): number {
    const received = this.#client.peer.receive();
    if (received <= 0) return received;
    const to = INPUT_AT + received;
    this.#client.keepRest(memoryBytes, this.take(memoryBytes, INPUT_AT, to), to);
    return received;
  }

  #spliceIn(leftBytes: number): number {
    const { client, exchange } = this.request;
    const moved = this.#splice?.fill(client.peer, leftBytes) ?? 0;
    if (moved <= 0) return moved;
    exchange.bytesIn += moved;
    client.framing?.skipBody(moved);
    if (moved === leftBytes) this.take(EMPTY, 0, 0);
    return moved;
  }

  #canSplice(): boolean {
    this.#splice ??= new SpliceRelay(this.#client.front.context.pipes);
    return this.#splice.begin();
  }

  /** It is over; a pipe that isn't empty isn't used again. */
  release(): void {
    this.#splice?.release();
  }
}
