import { type Cidr, cidrContains, type Ip, parseCidr } from '../base/ip.js';

/** Addresses of the machine itself, or of a link that only it should speak to. */
const GUARDED = blocks({
  '127.0.0.0/8': 'a loopback address',
  '::1/128': 'a loopback address',
  '169.254.0.0/16': 'a link-local address',
  'fe80::/10': 'a link-local address',
});

/** Addresses of nobody, of everybody, and those that hide an IPv4 address (RFC 6890, RFC 8215, RFC 7526). */
const NEVER = blocks({
  '0.0.0.0/8': 'an unspecified address',
  '224.0.0.0/4': 'a multicast address',
  '240.0.0.0/4': 'a reserved address',
  '::/96': 'an unspecified or IPv4-compatible address',
  '::ffff:0:0:0/96': 'an IPv4-translated address',
  '64:ff9b:1::/48': 'a local NAT64 address',
  '2001::/32': 'a Teredo address',
  '2002::/16': 'a 6to4 address',
  'ff00::/8': 'a multicast address',
});

/** NAT64: the last 32 bits are the IPv4 address that is meant (RFC 6052 2.1). */
const [NAT64] = blocks({ '64:ff9b::/96': 'a NAT64 address' });

interface NamedBlock {
  readonly cidr: Cidr;
  readonly what: string;
}

function blocks(texts: Readonly<Record<string, string>>): NamedBlock[] {
  return Object.entries(texts).map(([text, what]) => ({ cidr: parseCidr(text) as Cidr, what }));
}

/**
 * Why nothing may be connected to at this address, in words; null: it may. Loopback, link-local and
 * the host's own addresses are open only to a rule that names them and nothing else: its block lies
 * wholly within theirs.
 *
 * @param own the host's own addresses
 * @param rule the block of the rule that allows it; null: the rule has a name
 */
export function whyForbidden(ip: Ip, own: readonly Cidr[], rule: Cidr | null): string | null {
  const guarded = GUARDED.filter(({ cidr }) => cidrContains(cidr, ip));
  const isLoopback = guarded.some(({ what }) => what === 'a loopback address');
  const ofHost = isLoopback ? [] : own.filter((cidr) => cidrContains(cidr, ip));
  const special = [...guarded, ...ofHost.map((cidr) => ({ cidr, what: "the host's own address" }))];
  if (special.length > 0) {
    const closed = special.find(({ cidr }) => rule === null || !isWithin(rule, cidr));
    return closed?.what ?? null;
  }
  const never = NEVER.find(({ cidr }) => cidrContains(cidr, ip));
  if (never !== undefined) return never.what;
  if (NAT64 === undefined || !cidrContains(NAT64.cidr, ip)) return null;
  const meant = whyForbidden({ family: 4, words: [ip.words[3] as number] }, own, null);
  return meant === null ? null : `${NAT64.what} of ${meant}`;
}

function isWithin(inner: Cidr, outer: Cidr): boolean {
  return inner.prefixBits >= outer.prefixBits && cidrContains(outer, inner.ip);
}
