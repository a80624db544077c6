import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';

/** A request as Node's own server read it. */
export interface ReadRequest {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly string[];
  /** Decoded; of an upgrade request raw, as Node hands it to the upgraded connection. */
  body: string;
  readonly isUpgrade: boolean;
  isComplete: boolean;
}

export interface NodeReading {
  readonly requests: readonly ReadRequest[];
  readonly error: string | null;
}

/** What Node's HTTP server, strict as it is by default, makes of a client's bytes; in memory. */
export function readWithNode(bytes: Buffer): Promise<NodeReading> {
  const reading = new Reading();
  return reading.of(bytes);
}

class Reading {
  readonly #requests: ReadRequest[] = [];
  readonly #server: Server;
  #error: string | null = null;

  constructor() {
    const options = { maxHeaderSize: 65_536, keepAliveTimeout: 0, requestTimeout: 0 };
    this.#server = createServer({ ...options, headersTimeout: 0 }, (req, res) =>
      this.#take(req, res),
    );
    this.#server.on('checkContinue', (req, res) => this.#take(req, res));
    this.#server.on(
      'upgrade',
      (req, _socket, head) => (this.#record(req, true).body = head.toString('latin1')),
    );
    this.#server.on('clientError', (error, socket) => {
      this.#error ??= (error as NodeJS.ErrnoException).code ?? error.message;
      socket.destroy();
    });
  }

  async of(bytes: Buffer): Promise<NodeReading> {
    const socket = new MemorySocket();
    this.#server.emit('connection', socket);
    socket.push(bytes);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    socket.push(null);
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    this.#server.close();
    return { requests: this.#requests, error: this.#error };
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const record = this.#record(request, false);
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      record.body = Buffer.concat(parts).toString('latin1');
      record.isComplete = request.complete;
      response.end();
    });
    request.on('error', () => {});
  }

  /** At once, so that the order is the client's. */
  #record(request: IncomingMessage, isUpgrade: boolean): ReadRequest {
    const record = {
      method: request.method ?? '',
      target: request.url ?? '',
      version: request.httpVersion,
      headers: request.rawHeaders,
      body: '',
      isUpgrade,
      isComplete: isUpgrade,
    };
    this.#requests.push(record);
    return record;
  }
}

class MemorySocket extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }

  setTimeout(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }
}
