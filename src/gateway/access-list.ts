import { CidrMap } from '../base/cidr-map.js';
import { parseCidr, parseIp, stripZone } from '../base/ip.js';
import type { Access } from '../config/model.js';

/** What a Unix socket's clients have instead of an address; no CIDR contains them. */
export const UNIX_SOURCE = 'unix:';

/**
 * Whether a source may connect. The most specific block wins, a tie denies; where `allow` is given,
 * who is in no block is denied, so an empty `allow` is nobody. IPv4-mapped IPv6 counts as IPv4.
 * What is no address at all is denied. Throws on a malformed CIDR.
 */
export function buildAccessList(access: Access): (ip: string) => boolean {
  const byDefault = access.allow === null;
  const verdicts = new CidrMap<boolean>();
  for (const text of access.allow ?? []) verdicts.set(mustParseCidr(text), true);
  for (const text of access.deny) verdicts.set(mustParseCidr(text), false);
  return (source) => {
    if (source.startsWith(UNIX_SOURCE)) return byDefault;
    const ip = parseIp(stripZone(source));
    if (ip === null) return false;
    return verdicts.find(ip, takeVerdict) ?? byDefault;
  };
}

/** Whether an address lies in one of the CIDRs; for `trusted_proxies`. Throws on a malformed CIDR. */
export function buildCidrMatcher(cidrs: readonly string[]): (ip: string) => boolean {
  return buildAccessList({ allow: cidrs, deny: [] });
}

function takeVerdict(verdict: boolean): boolean {
  return verdict;
}

function mustParseCidr(text: string) {
  const cidr = parseCidr(text);
  if (cidr === null) throw new TypeError(`${JSON.stringify(text)} is not a CIDR`);
  return cidr;
}
