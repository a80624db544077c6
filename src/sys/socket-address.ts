import { isIPv4, isIPv6 } from 'node:net';
import { AF_INET, AF_INET6, AF_UNIX } from './libc.js';

export type SocketAddress =
  | { readonly kind: 'inet'; readonly host: string; readonly port: number }
  /** A leading NUL is an abstract address (unix(7)). */
  | { readonly kind: 'unix'; readonly path: string };

const SUN_PATH_BYTES = 108;

/** struct sockaddr_in, sockaddr_in6 or sockaddr_un (ip(7), ipv6(7), unix(7)). Throws a RangeError on what can't be one. */
export function encodeSocketAddress(address: SocketAddress): Buffer {
  if (address.kind === 'unix') return encodeUnix(address.path);
  if (isIPv4(address.host)) {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt16LE(AF_INET, 0);
    bytes.writeUInt16BE(address.port, 2);
    for (const [index, part] of address.host.split('.').entries()) bytes[4 + index] = Number(part);
    return bytes;
  }
  if (!isIPv6(address.host)) throw new RangeError(`${address.host} is not an IP address`);
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(address.port, 2);
  for (const [index, group] of groupsOf(address.host).entries())
    bytes.writeUInt16BE(group, 8 + 2 * index);
  return bytes;
}

function encodeUnix(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length === 0 || name.length >= SUN_PATH_BYTES) {
    throw new RangeError(
      `socket path ${path} has ${name.length} bytes; 1 to ${SUN_PATH_BYTES - 1} fit`,
    );
  }
  const isAbstract = name[0] === 0;
  const bytes = Buffer.alloc(2 + name.length + (isAbstract ? 0 : 1));
  bytes.writeUInt16LE(AF_UNIX, 0);
  name.copy(bytes, 2);
  return bytes;
}

function groupsOf(host: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  const text = dotted
    ? dotted[1] +
      hex(Number(dotted[2]) * 256 + Number(dotted[3])) +
      ':' +
      hex(Number(dotted[4]) * 256 + Number(dotted[5]))
    : host;
  const [left = '', right] = text.split('::');
  const parse = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const head = parse(left);
  if (right === undefined) return head;
  const tail = parse(right);
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function hex(value: number): string {
  return value.toString(16);
}

/** Reads what getsockname(2) wrote; null for families other than these. IPv4-mapped IPv6 is given as IPv4. */
export function decodeSocketAddress(bytes: Buffer): SocketAddress | null {
  const family = bytes.length < 2 ? 0 : bytes.readUInt16LE(0);
  if (family === AF_INET) {
    return { kind: 'inet', host: formatIpv4(bytes.readInt32BE(4)), port: bytes.readUInt16BE(2) };
  }
  if (family === AF_INET6) {
    return { kind: 'inet', host: formatIpv6(bytes.subarray(8, 24)), port: bytes.readUInt16BE(2) };
  }
  if (family === AF_UNIX) {
    const name = bytes.subarray(2);
    const end = name[0] === 0 ? name.length : name.indexOf(0);
    return { kind: 'unix', path: name.subarray(0, end < 0 ? name.length : end).toString() };
  }
  return null;
}

/** The text of an address of 32 bits. */
export function formatIpv4(ip: number): string {
  return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`;
}

function formatIpv6(bytes: Buffer): string {
  const isMapped =
    bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  if (isMapped) return formatIpv4(bytes.readInt32BE(12));
  const groups = Array.from({ length: 8 }, (_, index) => hex(bytes.readUInt16BE(2 * index))).join(
    ':',
  );
  return new URL(`http://[${groups}]`).hostname.slice(1, -1);
}

/** `127.0.0.1:80`, `[::1]:80`, or the path (an abstract one with `@`). */
export function formatSocketAddress(address: SocketAddress): string {
  if (address.kind === 'unix') return address.path.replace(/^\0/, '@');
  return address.host.includes(':')
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}
