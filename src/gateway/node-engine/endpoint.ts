import type { Socket } from 'node:net';
import { formatIp, parseIp } from '../../base/ip.js';

/** One side of a connection. */
export interface Endpoint {
  /** `ip:port`, `[ip6]:port`, or `unix:`. */
  readonly text: string;
  /** Null for Unix sockets. */
  readonly address: { readonly ip: string; readonly port: number } | null;
}

const UNIX: Endpoint = { text: 'unix:', address: null };

/** Where the connection comes from; null when the peer is gone already. */
export function sourceOf(socket: Socket, isUnix: boolean): Endpoint | null {
  return isUnix ? UNIX : endpoint(socket.remoteAddress, socket.remotePort);
}

/** What the client connected to, also on a wildcard listener; null when the connection is gone already. */
export function destinationOf(socket: Socket, isUnix: boolean): Endpoint | null {
  return isUnix ? UNIX : endpoint(socket.localAddress, socket.localPort);
}

/** IPv4-mapped addresses become IPv4, zones are left out. */
function endpoint(text: string | undefined, port: number | undefined): Endpoint | null {
  if (text === undefined || port === undefined) return null;
  const bare = text.replace(/%.*$/, '');
  if (!bare.includes(':')) return { text: `${bare}:${port}`, address: { ip: bare, port } };
  const parsed = parseIp(bare);
  if (parsed === null) return null;
  const ip = formatIp(parsed);
  return { text: parsed.family === 6 ? `[${ip}]:${port}` : `${ip}:${port}`, address: { ip, port } };
}
