import { formatIp, type Ip, parseIp } from '../base/ip.js';
import type { Parsed, ProxyRequest } from './proxy-request.js';
import { EGRESS_REFUSALS, type EgressRefusalCode } from './refusals.js';
import { type Host, parseHost } from './target.js';

/** SOCKS 5 (RFC 1928): without authentication, CONNECT only. */
export const SOCKS_VERSION = 5;

const NO_AUTHENTICATION = 0;
const CONNECT = 1;
const [TYPE_IPV4, TYPE_NAME, TYPE_IPV6] = [1, 3, 4];
const REQUEST_HEADER_BYTES = 4;
const PORT_BYTES = 2;

/** What the client is told where it offers no method that is known here. */
export const NO_ACCEPTABLE_METHOD = Buffer.from([SOCKS_VERSION, 0xff]);
export const METHOD_CHOSEN = Buffer.from([SOCKS_VERSION, NO_AUTHENTICATION]);

/** Reads the methods that the client offers: whether there is one that needs no authentication. */
export function parseSocksGreeting(bytes: Buffer): Parsed<boolean> | null {
  const [version, count] = bytes;
  if (version !== undefined && version !== SOCKS_VERSION) return { refusal: 'malformed' };
  if (count === undefined || bytes.length < 2 + count) return null;
  const methods = bytes.subarray(2, 2 + count);
  return { value: methods.includes(NO_AUTHENTICATION), lengthBytes: 2 + count };
}

/** Reads what the client wants. A name is text: an address in it counts as one. */
export function parseSocksRequest(bytes: Buffer): Parsed<ProxyRequest> | null {
  if (bytes.length < REQUEST_HEADER_BYTES + 1) return null;
  const [version, command, reserved, type] = bytes;
  if (version !== SOCKS_VERSION || reserved !== 0) return { refusal: 'malformed' };
  if (command !== CONNECT) return { refusal: 'unsupported-command' };
  const size = sizeOfAddress(type, bytes[REQUEST_HEADER_BYTES] as number);
  if (size === null) return { refusal: 'unsupported-address' };
  const portAt = REQUEST_HEADER_BYTES + size;
  if (bytes.length < portAt + PORT_BYTES) return null;
  const host = readHost(type, bytes.subarray(REQUEST_HEADER_BYTES, portAt));
  const port = bytes.readUInt16BE(portAt);
  if (host === null || port === 0) return { refusal: 'malformed' };
  const request = { target: { host, port }, granted: reply(0), preface: Buffer.alloc(0) };
  return { value: request, lengthBytes: portAt + PORT_BYTES };
}

function sizeOfAddress(type: number | undefined, firstByte: number): number | null {
  if (type === TYPE_IPV4) return 4;
  if (type === TYPE_IPV6) return 16;
  return type === TYPE_NAME ? 1 + firstByte : null;
}

function readHost(type: number | undefined, bytes: Buffer): Host | null {
  if (type === TYPE_NAME) return parseHost(bytes.toString('latin1', 1));
  const ip = type === TYPE_IPV4 ? parseIp(bytes.join('.')) : ipv6Of(bytes);
  return ip && { kind: 'ip', ip };
}

/** By way of its text, where IPv4-mapped addresses become IPv4. */
function ipv6Of(bytes: Buffer): Ip | null {
  const words = [0, 4, 8, 12].map((at) => bytes.readUInt32BE(at));
  return parseIp(formatIp({ family: 6, words }));
}

export function socksRefusal(code: EgressRefusalCode): Buffer {
  return reply(EGRESS_REFUSALS[code].reply);
}

/** The address that the connection comes from is nobody's business: all zeros. */
function reply(code: number): Buffer {
  return Buffer.from([SOCKS_VERSION, code, 0, TYPE_IPV4 as number, 0, 0, 0, 0, 0, 0]);
}
