import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { RouteMatch, Use } from '../engine.js';
import { pairs } from './forwarded-headers.js';
import type { HttpExchange } from './http-exchange.js';
import { relaySockets } from './relay-sockets.js';

export interface Upgraded {
  readonly exchange: HttpExchange;
  readonly match: RouteMatch;
  readonly use: Use;
  /** The 101. */
  readonly response: IncomingMessage;
  readonly upstream: Socket;
  /** What came behind the 101. */
  readonly bytes: Buffer;
}

/** Relays a connection that is HTTP no longer (RFC 9110 7.8), as one of `tcp` would be. */
export function relayUpgraded({ exchange, match, use, response, upstream, bytes }: Upgraded): void {
  const { context, connection } = exchange;
  const { socket: client, bytes: early } = connection.takeOver();
  const head = headOf(response);
  client.write(head, 'latin1');
  if (bytes.length > 0) client.write(bytes);
  if (early.length > 0) upstream.write(early);
  relaySockets(context, {
    client,
    upstream,
    use,
    quietMs: match.quietMs,
    onClose: ({ bytesIn, bytesOut }) => {
      exchange.logAccess({
        status: response.statusCode ?? 101,
        bytesIn: exchange.head.rawBytes.length + early.length + bytesIn,
        bytesOut: head.length + bytes.length + bytesOut,
      });
    },
  });
}

/** All headers stay: Connection and Upgrade are what this answer says. */
function headOf({ statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = pairs(rawHeaders).map(({ name, value }) => `${name}: ${value}`);
  return [`HTTP/1.1 101 ${statusMessage || 'Switching Protocols'}`, ...lines, '', ''].join('\r\n');
}
