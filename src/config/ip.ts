import { isIPv4, isIPv6 } from 'node:net';
import { ValueError } from './value-error.js';

/** An IP address as a number; IPv4-mapped IPv6 addresses (RFC 4291 2.5.5.2) become IPv4. */
export interface Ip {
  readonly family: 4 | 6;
  readonly value: bigint;
}

export interface Cidr {
  readonly ip: Ip;
  readonly prefix: number;
}

const MAPPED_PREFIX = 0xffffn;

/** Null when the text is no IP literal; zone ids (`fe80::1%eth0`) are none here. */
export function parseIp(text: string): Ip | null {
  if (isIPv4(text)) return { family: 4, value: v4Value(text) };
  if (!isIPv6(text) || text.includes('%')) return null;
  const value = v6Value(text);
  if (value >> 32n === MAPPED_PREFIX) return { family: 4, value: value & 0xffffffffn };
  return { family: 6, value };
}

function v4Value(text: string): bigint {
  return BigInt(text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0));
}

function v6Value(text: string): bigint {
  const lastColon = text.lastIndexOf(':');
  const tail = text.slice(lastColon + 1);
  if (tail.includes('.')) {
    const value = v4Value(tail);
    return v6Value(
      `${text.slice(0, lastColon + 1)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`,
    );
  }
  const [left = '', right] = text.split('::');
  const head = left === '' ? [] : left.split(':');
  const rest = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array<string>(8 - head.length - rest.length).fill('0');
  return [...head, ...zeros, ...rest].reduce((sum, part) => (sum << 16n) | BigInt(`0x${part}`), 0n);
}

/** Dotted quad, or the canonical text of RFC 5952. */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => String((ip.value >> shift) & 0xffn)).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((ip.value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  );
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

export function isLoopback(ip: Ip): boolean {
  return ip.family === 4 ? ip.value >> 24n === 127n : ip.value === 1n;
}

/** All zeros: every address of the family. */
export function isUnspecified(ip: Ip): boolean {
  return ip.value === 0n;
}

/** Reads `10.0.0.0/8`, or an address alone; throws a `ValueError`, also where host bits are set. */
export function parseCidr(text: string): Cidr {
  const [address = '', length, ...more] = text.split('/');
  const ip = parseIp(address);
  if (ip === null || more.length > 0) {
    throw new ValueError(`"${text}" is no IP address and no CIDR; write 10.0.0.1 or 10.0.0.0/8`);
  }
  const bits = ip.family === 4 ? 32 : 128;
  if (length === undefined) return { ip, prefix: bits };
  const prefix = prefixOf(text, length, address.includes(':') ? 128 : 32) - mappedBits(address, ip);
  if (prefix < 0) throw new ValueError(`"${text}" mixes IPv4 and IPv6; write the IPv4 CIDR`);
  const network = networkOf({ ip, prefix });
  if (network.value !== ip.value) {
    const meant = `${formatIp(network)}/${prefix}`;
    throw new ValueError(
      `"${text}" has bits set outside its mask; write ${meant} or the address alone`,
    );
  }
  return { ip, prefix };
}

function prefixOf(text: string, length: string, bits: number): number {
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (prefix <= bits) return prefix;
  throw new ValueError(`"${text}": the mask must be a number from 0 to ${bits}`);
}

function mappedBits(address: string, ip: Ip): number {
  return ip.family === 4 && address.includes(':') ? 96 : 0;
}

function networkOf({ ip, prefix }: Cidr): Ip {
  const hostBits = BigInt((ip.family === 4 ? 32 : 128) - prefix);
  return { family: ip.family, value: (ip.value >> hostBits) << hostBits };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.ip)}/${cidr.prefix}`;
}

export function cidrContains(cidr: Cidr, ip: Ip): boolean {
  return (
    cidr.ip.family === ip.family && networkOf({ ip, prefix: cidr.prefix }).value === cidr.ip.value
  );
}
