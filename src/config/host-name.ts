import { domainToASCII } from 'node:url';
import { formatIp, parseIp } from '../base/ip.js';
import { ValueError } from './value-error.js';

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * A `host` as routes are compared by it: lower case, no port, no trailing dot, IDN as punycode
 * (RFC 5891), IPv6 without brackets; `*` as the whole leftmost label stays. Throws a `ValueError`.
 */
export function normaliseHost(text: string): string {
  // No IP address has such a letter.
  if (/^[a-z0-9.*-]*[g-z][a-z0-9.*-]*$/.test(text)) return normaliseName(text);
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text);
  const ip = parseIp(bracketed?.[1] ?? text);
  if (ip !== null) return formatIp(ip);
  if (bracketed !== null) throw new ValueError(`"${text}" is no IPv6 address`);
  const bare = text.replace(/:\d{1,5}$/, '');
  const v4 = parseIp(bare);
  return v4 === null ? normaliseName(bare) : formatIp(v4);
}

/** An `sni` in the same form; IP addresses can't be server names (RFC 6066 3). Throws a `ValueError`. */
export function normaliseServerName(text: string): string {
  const bare = text.replace(/:\d{1,5}$/, '');
  if (parseIp(text) !== null || parseIp(bare) !== null) {
    throw new ValueError(
      `"${text}": clients send no server name for an IP address; use destination`,
    );
  }
  return normaliseName(bare);
}

function normaliseName(text: string): string {
  const wildcard = text.startsWith('*.');
  const name = (wildcard ? text.slice(2) : text).replace(/\.$/, '');
  if (name.includes('*') || name === '') throw new ValueError(wildcardHint(text));
  // Only names outside ASCII: domainToASCII would turn `127.1` into an address.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII
  const ascii = /^[\x00-\x7f]*$/.test(name) ? name.toLowerCase() : domainToASCII(name);
  if (ascii.length > 253 || !ascii.split('.').every((label) => LABEL.test(label))) {
    throw new ValueError(`"${text}" is no host name`);
  }
  return wildcard ? `*.${ascii}` : ascii;
}

function wildcardHint(text: string): string {
  if (text === '*') return 'leave the key out to match every name';
  return text.includes('*')
    ? `"${text}": a wildcard stands for the whole leftmost label, as in *.example.com`
    : `"${text}" is no host name`;
}
