import { once } from 'node:events';
import net from 'node:net';

export interface ConnectOptions {
  readonly host?: string;
  readonly port: number;
  readonly localAddress?: string;
}

/** A TCP client that sends bytes as they are told and keeps all that comes back. */
export class RawClient implements AsyncDisposable {
  #received = Buffer.alloc(0);
  #isEnded = false;
  #error: NodeJS.ErrnoException | null = null;

  private constructor(readonly socket: net.Socket) {
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
    });
    socket.on('end', () => {
      this.#isEnded = true;
    });
    socket.on('error', (error) => {
      this.#error = error;
    });
  }

  /** Rejects when nobody listens there. */
  static async connect({ host = '127.0.0.1', ...options }: ConnectOptions): Promise<RawClient> {
    const socket = net.connect({ host, allowHalfOpen: true, noDelay: true, ...options });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  get received(): Buffer {
    return this.#received;
  }

  /** Resolves when the kernel has taken the bytes. */
  send(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  /** Sends in pieces of `pieceBytes`, each in a segment of its own as far as the kernel lets us. */
  async sendInPieces(bytes: Uint8Array, pieceBytes: number): Promise<void> {
    for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
      await this.send(bytes.subarray(offset, offset + pieceBytes));
      await new Promise(setImmediate);
    }
  }

  /** Shuts down the sending side. */
  end(): void {
    this.socket.end();
  }

  /** Resolves with all that came as soon as `isEnough` holds; rejects when the connection ends before. */
  async readUntil(isEnough: (received: Buffer) => boolean): Promise<Buffer> {
    while (!isEnough(this.#received)) {
      if (this.#isEnded || this.socket.destroyed) {
        throw new Error(`the connection ended after ${JSON.stringify(this.#received.toString())}`, {
          cause: this.#error,
        });
      }
      await this.#nextEvent();
    }
    return this.#received;
  }

  /** Resolves with the text that came once `part` is in it. */
  async readText(part: string): Promise<string> {
    return (await this.readUntil((received) => received.includes(part))).toString();
  }

  /** Resolves with all that came when the other side has ended or broken the connection. */
  async readToEnd(): Promise<Buffer> {
    while (!this.#isEnded && !this.socket.destroyed) await this.#nextEvent();
    return this.#received;
  }

  async #nextEvent(): Promise<void> {
    const stop = new AbortController();
    const events = ['data', 'end', 'close'].map((name) => once(this.socket, name, stop));
    await Promise.race(events).catch(() => {});
    stop.abort();
    await Promise.allSettled(events);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
  }
}
