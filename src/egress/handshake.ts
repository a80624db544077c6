import type { Socket } from 'node:net';
import { httpRefusal, parseHttpRequest } from './http-request.js';
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
  #bytes: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};
  readonly #onChunk = (chunk: Buffer) => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
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
    if (!isSocks) return this.#readLast(parseHttpRequest);
    this.writeRefusal = socksRefusal;
    const isMethodOffered = await this.#read(parseSocksGreeting);
    if (isMethodOffered === null) return null;
    this.socket.write(isMethodOffered ? METHOD_CHOSEN : NO_ACCEPTABLE_METHOD);
    return isMethodOffered ? this.#readLast(parseSocksRequest) : null;
  }

  /** Leaves the socket paused, with what was not read before all that comes. Idempotent. */
  release(): void {
    this.socket.off('data', this.#onChunk);
    this.socket.off('end', this.#onEnd);
    this.socket.off('close', this.#onEnd);
    this.socket.pause();
    const isOpen = !this.socket.readableEnded && !this.socket.destroyed;
    if (isOpen && this.#bytes.length > 0) this.socket.unshift(this.#bytes);
    this.#bytes = Buffer.alloc(0);
  }

  /** What follows is at once the socket's again: then it doesn't end before that is taken from it. */
  #readLast<T>(parse: (bytes: Buffer) => Parsed<T> | null): Promise<T | null> {
    return this.#read((bytes) => {
      const parsed = parse(bytes);
      if (!parsed || 'refusal' in parsed) return parsed;
      this.#bytes = bytes.subarray(parsed.lengthBytes);
      this.release();
      return { value: parsed.value, lengthBytes: 0 };
    });
  }

  async #read<T>(parse: (bytes: Buffer) => Parsed<T> | null): Promise<T | null> {
    for (;;) {
      const parsed = parse(this.#bytes);
      if (parsed && 'refusal' in parsed) throw new EgressRefusal(parsed.refusal);
      if (parsed) {
        this.socket.pause();
        this.#bytes = this.#bytes.subarray(parsed.lengthBytes);
        return parsed.value;
      }
      if (this.socket.readableEnded || this.socket.destroyed) return null;
      this.socket.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function isSocksClient(bytes: Buffer): Parsed<boolean> | null {
  return bytes.length === 0 ? null : { value: bytes[0] === SOCKS_VERSION, lengthBytes: 0 };
}
