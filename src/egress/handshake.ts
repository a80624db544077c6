import type { Socket } from 'node:net';
import { HEAD_LIMIT_BYTES, httpRefusal, parseHttpRequest } from './http-request.js';
import type { Parsed, ProxyRequest, RefusalWriter } from './proxy-request.js';
import { EgressRefusal } from './refusals.js';
import {
  METHOD_CHOSEN,
  NO_ACCEPTABLE_METHOD,
  parseSocksGreeting,
  parseSocksRequest,
  SOCKS_VERSION,
  socksRefusal,
} from './socks.js';

/** What a client says before bytes are moved. HTTP and SOCKS share the port: the first byte tells them apart. */
export class Handshake {
  /** In the protocol that the client speaks, as far as it is known. */
  writeRefusal: RefusalWriter = httpRefusal;
  #bytes = Buffer.alloc(0);
  #wake: () => void = () => {};
  readonly #onChunk = (chunk: Buffer) => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    // A parser that needs more than that has refused before.
    if (this.#bytes.length > HEAD_LIMIT_BYTES) this.socket.pause();
    this.#wake();
  };
  readonly #onEnd = () => this.#wake();

  constructor(private readonly socket: Socket) {
    socket.on('data', this.#onChunk);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onEnd);
  }

  /** What the client wants; null: it went away, or was sent away. Rejects with an `EgressRefusal`. */
  async readRequest(): Promise<ProxyRequest | null> {
    const isSocks = await this.#read(isSocksClient);
    if (isSocks === null) return null;
    if (!isSocks) return this.#read(parseHttpRequest);
    this.writeRefusal = socksRefusal;
    const isMethodOffered = await this.#read(parseSocksGreeting);
    if (isMethodOffered === null) return null;
    this.socket.write(isMethodOffered ? METHOD_CHOSEN : NO_ACCEPTABLE_METHOD);
    return isMethodOffered ? this.#read(parseSocksRequest) : null;
  }

  /** Leaves the socket paused, with what was not read before all that comes. */
  release(): void {
    this.socket.off('data', this.#onChunk);
    this.socket.off('end', this.#onEnd);
    this.socket.off('close', this.#onEnd);
    this.socket.pause();
    if (this.#bytes.length > 0) this.socket.unshift(this.#bytes);
    this.#bytes = Buffer.alloc(0);
  }

  async #read<T>(parse: (bytes: Buffer) => Parsed<T> | null): Promise<T | null> {
    for (;;) {
      const parsed = parse(this.#bytes);
      if (parsed && 'refusal' in parsed) throw new EgressRefusal(parsed.refusal);
      if (parsed) {
        this.#bytes = this.#bytes.subarray(parsed.lengthBytes);
        return parsed.value;
      }
      if (this.socket.readableEnded || this.socket.destroyed) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function isSocksClient(bytes: Buffer): Parsed<boolean> | null {
  return bytes.length === 0 ? null : { value: bytes[0] === SOCKS_VERSION, lengthBytes: 0 };
}
