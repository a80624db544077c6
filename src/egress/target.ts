import { formatIp, type Ip, parseIp } from '../base/ip.js';

export type Host =
  | { readonly kind: 'ip'; readonly ip: Ip }
  /** Lower case, without trailing dot. */
  | { readonly kind: 'name'; readonly name: string };

/** Where a service wants to connect to. */
export interface Target {
  readonly host: Host;
  readonly port: number;
}

const MAX_NAME_LENGTH = 253;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** A name whose last label is a number is an address in disguise (inet_aton(3): `127.1`, `0x7f000001`). */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/;

/**
 * Reads a host strictly: an address as inet_pton(3) takes it, or a name of LDH labels. Whatever C
 * libraries take besides (decimal, octal and hexadecimal addresses, zone ids) is null.
 */
export function parseHost(text: string): Host | null {
  const ip = parseIp(text);
  if (ip !== null) return { kind: 'ip', ip };
  const name = text.toLowerCase().replace(/\.$/, '');
  const labels = name.split('.');
  const isName = name.length <= MAX_NAME_LENGTH && labels.every((label) => LABEL.test(label));
  if (!isName || NUMBER.test(labels.at(-1) ?? '')) return null;
  return { kind: 'name', name };
}

/** Reads `HOST:PORT` with IPv6 addresses in brackets (RFC 3986 3.2); without a port: `defaultPort`, where there is one. */
export function parseAuthority(text: string, defaultPort: number | null): Target | null {
  const [, bracketed, plain, digits] = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text) ?? [];
  const host = parseHost(bracketed ?? plain ?? '');
  const isBracketedName = bracketed !== undefined && !bracketed.includes(':');
  const port = digits === undefined ? defaultPort : parsePort(digits);
  return host === null || isBracketedName || port === null ? null : { host, port };
}

function parsePort(digits: string): number | null {
  const port = /^[1-9]\d{0,4}$/.test(digits) ? Number(digits) : 0;
  return port >= 1 && port <= 65535 ? port : null;
}

/** `example.com:443`, `[2001:db8::1]:443`. */
export function formatTarget({ host, port }: Target): string {
  if (host.kind === 'name') return `${host.name}:${port}`;
  const text = formatIp(host.ip);
  return host.ip.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}
