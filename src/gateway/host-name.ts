import { formatIp, parseIp } from '../base/ip.js';

/** What a request is for: the normalised host (IPv6 without brackets) and the port, if it was given. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number | null;
}

const MAX_NAME_LENGTH = 253;
const MAX_HEADER_LENGTH = MAX_NAME_LENGTH + '.:65535'.length;
const NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/**
 * A DNS name in lower case and without the trailing dot; IPv4 addresses pass as names. Null when it
 * has empty or overlong labels or other characters than letters, digits, hyphens and underscores.
 */
export function normalizeName(text: string): string | null {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (name.length > MAX_NAME_LENGTH) return null;
  const lower = name.toLowerCase();
  return NAME.test(lower) ? lower : null;
}

/**
 * Reads a Host value or the authority of an absolute-form target (RFC 9110 7.2): a name, an IPv4
 * address or a bracketed IPv6 address, then a port. Null when malformed: userinfo, spaces, percent
 * encoding, zone ids and empty values are.
 */
export function parseHostHeader(value: string): HostAndPort | null {
  if (value.length > MAX_HEADER_LENGTH) return null;
  const hostEnd = value.startsWith('[') ? value.indexOf(']') + 1 : endOfName(value);
  const port = parsePort(value.slice(hostEnd));
  if (hostEnd === 0 || port === undefined) return null;
  const host = normalizeHost(value.slice(0, hostEnd));
  return host === null ? null : { host, port };
}

function endOfName(value: string): number {
  const colon = value.indexOf(':');
  return colon < 0 ? value.length : colon;
}

function normalizeHost(text: string): string | null {
  if (!text.startsWith('[')) return normalizeName(text);
  const literal = text.slice(1, -1);
  const ip = literal.includes(':') ? parseIp(literal) : null;
  return ip === null ? null : formatIp(ip);
}

/** `:` alone is legal and means none (RFC 3986 3.2.3); undefined when malformed. */
function parsePort(text: string): number | null | undefined {
  if (text === '' || text === ':') return null;
  if (!/^:\d{1,5}$/.test(text)) return undefined;
  const port = Number(text.slice(1));
  return port >= 1 && port <= 65535 ? port : undefined;
}
