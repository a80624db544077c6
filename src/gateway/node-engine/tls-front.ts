import type { Socket } from 'node:net';
import tls from 'node:tls';
import { messageOf } from '../../base/errors.js';
import type { RefusalCode } from '../../ipc/refusals.js';
import { type Connection, type EngineContext, noteRefusal } from './context.js';
import { sourceOf } from './endpoint.js';
import type { ListenerSettings } from './listener-settings.js';
import { SecureContexts } from './secure-contexts.js';

interface Waiting {
  readonly connection: Connection;
  readonly refusal: RefusalCode | null;
}

export interface TlsFrontOptions {
  readonly context: EngineContext;
  readonly listener: ListenerSettings;
  readonly serve: (
    connection: Connection,
    socket: tls.TLSSocket,
    refusal: RefusalCode | null,
  ) => void;
}

/** Terminates TLS for one `https` listener: certificates by server name, HTTP/1.1 only. */
export class TlsFront {
  #contexts: SecureContexts | null = null;
  readonly #server: tls.Server;
  /** TLS servers don't tell which socket a TLS socket was made for; its addresses are the same. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(private readonly options: TlsFrontOptions) {
    const { context, serve } = options;
    this.#server = tls.createServer({
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: context.limits.helloMs,
      SNICallback: (serverName, done) => done(null, this.#contexts?.find(serverName)),
    });
    this.#server.on('secureConnection', (socket) => {
      socket.on('error', () => {});
      socket.allowHalfOpen = true;
      const waiting = this.#waiting.get(keyOf(socket));
      if (waiting === undefined) socket.destroy();
      else serve(waiting.connection, socket, waiting.refusal);
    });
    this.#server.on('tlsClientError', (error, socket) => {
      const { listener } = options;
      const source = sourceOf(socket, socket.remoteAddress === undefined) ?? {
        text: '',
        address: null,
      };
      noteRefusal(context, { listener, source }, 'bad-request', null, `TLS: ${error.message}`);
      socket.destroy();
    });
    this.update();
  }

  /** Takes the listener's certificates for handshakes from now on; the old ones stay where they are wrong. */
  update(): void {
    const { listener, context } = this.options;
    const [first] = listener.certificates;
    try {
      this.#contexts = new SecureContexts(listener.certificates);
      if (first !== undefined) this.#server.setSecureContext({ ...first, minVersion: 'TLSv1.2' });
    } catch (error) {
      const source = { text: '', address: null };
      const detail = `certificates not taken: ${messageOf(error)}`;
      noteRefusal(context, { listener, source }, 'bad-request', null, detail);
    }
  }

  /** Begins the handshake. */
  accept(connection: Connection, refusal: RefusalCode | null): void {
    const { socket } = connection;
    const key = keyOf(socket);
    this.#waiting.set(key, { connection, refusal });
    socket.once('close', () => {
      if (this.#waiting.get(key)?.connection === connection) this.#waiting.delete(key);
    });
    // A client that leaves within the handshake is gone; the TLS socket inherits this.
    socket.allowHalfOpen = false;
    this.#server.emit('connection', socket);
  }
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
