import { formatIp, parseIp } from '../base/ip.js';
import { COLON } from './byte-classes.js';

/** What a request is for: the normalised host (IPv6 without brackets) and the port, if it was given. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number | null;
}

const MAX_NAME_BYTES = 253;
const MAX_LABEL_BYTES = 63;
const MAX_PORT_DIGITS = 5;
const DOT = 0x2e;
const BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
/** FNV-1a. */
export const NAME_HASH_START = 0x811c9dc5 | 0;
const HASH_PRIME = 0x01000193;

/** The byte in lower case where a label may have it (letters, digits, hyphen, underscore), else 0. */
const LABEL = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return /[a-zA-Z0-9_-]/.test(character) ? character.toLowerCase().charCodeAt(0) : 0;
});

/** A byte of a name or IPv6 address in lower case. */
export function lowerCase(byte: number): number {
  return (LABEL[byte] as number) || byte;
}

/** The next byte of a name, in lower case, added to a hash. */
export function addToNameHash(hash: number, lower: number): number {
  return Math.imul(hash ^ lower, HASH_PRIME);
}

/**
 * Reads the host that a request names: a DNS name or IPv4 address, or a bracketed IPv6 address, then
 * a port (RFC 9110 7.2). It keeps offsets and makes no string; it is used again.
 */
export class HostReading {
  /** The name as it was written, without port and final dot; of an IPv6 address nothing. */
  start = 0;
  end = 0;
  /** Of the name's bytes in lower case. */
  hash = 0;
  /** 0: none was given. */
  port = 0;
  /** An IPv6 address in canonical form; null: it is a name. */
  literal: string | null = null;

  /** False when malformed: userinfo, spaces, percent encoding, zone ids and empty values are. */
  read(bytes: Buffer, start: number, end: number): boolean {
    this.literal = null;
    const hostEnd =
      bytes[start] === BRACKET
        ? this.#readLiteral(bytes, start, end)
        : this.readName(bytes, start, end);
    return hostEnd > start && this.#readPort(bytes, hostEnd, end);
  }

  /** Reads a name alone, and returns where it stopped, behind a final dot; -1 when malformed. */
  readName(bytes: Uint8Array, start: number, end: number): number {
    this.literal = null;
    this.start = start;
    let hash = NAME_HASH_START;
    let labelAt = start;
    let at = start;
    for (; at < end; at += 1) {
      const byte = bytes[at] as number;
      const lower = LABEL[byte] as number;
      if (lower !== 0) {
        hash = addToNameHash(hash, lower);
        continue;
      }
      if (byte !== DOT) break;
      if (at === labelAt || at - labelAt > MAX_LABEL_BYTES) return -1;
      if (at + 1 === end || bytes[at + 1] === COLON) break;
      hash = addToNameHash(hash, DOT);
      labelAt = at + 1;
    }
    this.end = at;
    this.hash = hash;
    const isSound = at > labelAt && at - labelAt <= MAX_LABEL_BYTES && at - start <= MAX_NAME_BYTES;
    if (!isSound) return -1;
    return bytes[at] === DOT && at < end ? at + 1 : at;
  }

  #readLiteral(bytes: Buffer, start: number, end: number): number {
    this.start = start;
    this.end = start;
    const closing = bytes.indexOf(CLOSING_BRACKET, start);
    if (closing < 0 || closing >= end) return -1;
    const text = bytes.toString('latin1', start + 1, closing);
    const ip = text.includes(':') ? parseIp(text) : null;
    if (ip === null) return -1;
    this.literal = formatIp(ip);
    return closing + 1;
  }

  /** `:` alone is legal and means none (RFC 3986 3.2.3). */
  #readPort(bytes: Uint8Array, start: number, end: number): boolean {
    this.port = 0;
    if (start === end) return true;
    if (bytes[start] !== COLON || end - start > MAX_PORT_DIGITS + 1) return false;
    let port = 0;
    for (let at = start + 1; at < end; at += 1) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) return false;
      port = port * 10 + digit;
    }
    this.port = port;
    return start + 1 === end || (port >= 1 && port <= 65535);
  }

  /** Normalised; the bytes must still be those that were read. */
  hostIn(bytes: Buffer): string {
    return this.literal ?? bytes.toString('latin1', this.start, this.end).toLowerCase();
  }
}

const scratch = new HostReading();

/**
 * A DNS name in lower case and without the trailing dot; IPv4 addresses pass as names. Null when it
 * has empty or overlong labels or other characters than letters, digits, hyphens and underscores.
 */
export function normalizeName(text: string): string | null {
  const bytes = Buffer.from(text);
  const end = scratch.readName(bytes, 0, bytes.length);
  return end === bytes.length && end > 0 ? scratch.hostIn(bytes) : null;
}

/** Reads a Host value or the authority of an absolute-form target. Null when malformed. */
export function parseHostHeader(value: string): HostAndPort | null {
  const bytes = Buffer.from(value);
  if (!scratch.read(bytes, 0, bytes.length)) return null;
  return { host: scratch.hostIn(bytes), port: scratch.port === 0 ? null : scratch.port };
}
