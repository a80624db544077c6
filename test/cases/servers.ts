import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';

export interface TcpServer extends AsyncDisposable {
  readonly port: number;
  readonly connections: number;
  readonly receivedBytes: number;
  /** How many clients have ended their side. */
  readonly ended: number;
  /** Codes of the errors that its sockets had. */
  readonly errors: readonly string[];
}

/** A TCP server on a free port of 127.0.0.1. */
export async function startTcpServer(serve: (socket: net.Socket) => void): Promise<TcpServer> {
  const sockets = new Set<net.Socket>();
  const errors: string[] = [];
  let connections = 0;
  let receivedBytes = 0;
  let ended = 0;
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''));
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
    socket.on('end', () => {
      ended += 1;
    });
    socket.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    errors,
    get connections() {
      return connections;
    },
    get ended() {
      return ended;
    },
    get receivedBytes() {
      return receivedBytes;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
  readonly server: http.Server;
}

/** An HTTP server on a free port of 127.0.0.1. */
export async function startHttpServer(
  serve: http.RequestListener,
  options: http.ServerOptions = {},
): Promise<HttpServer> {
  const server = http.createServer(options, serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    server,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
