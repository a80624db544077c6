/** An IP address as unsigned 32-bit words, one for IPv4 and four for IPv6. */
export interface Ip {
  readonly family: 4 | 6;
  readonly words: readonly number[];
}

/** A block of addresses; bits behind the prefix are zero. */
export interface Cidr {
  readonly ip: Ip;
  readonly prefixBits: number;
}

/**
 * Reads a textual address, strictly: no leading zeros, no zone id, no brackets. IPv4-mapped IPv6
 * (RFC 4291 2.5.5.2) comes out as IPv4. Null when it is none.
 */
export function parseIp(text: string): Ip | null {
  const address = parseIpv4(text);
  if (address !== null) return { family: 4, words: [address] };
  const words = parseIpv6(text);
  if (words === null) return null;
  return isMapped(words) ? { family: 4, words: [words[3] as number] } : { family: 6, words };
}

export function isLoopback({ family, words }: Ip): boolean {
  if (family === 4) return (words[0] as number) >>> 24 === 127;
  return words.every((word, index) => word === (index === 3 ? 1 : 0));
}

/** All zeros: every address of the family. */
export function isUnspecified({ words }: Ip): boolean {
  return words.every((word) => word === 0);
}

/** Without the zone id that the kernel's link-local addresses come with (`fe80::1%eth0`). */
export function stripZone(text: string): string {
  const percent = text.indexOf('%');
  return percent < 0 ? text : text.slice(0, percent);
}

/** Reads `ADDRESS` or `ADDRESS/BITS`; bits behind the prefix are cleared. Null when malformed. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/');
  const addressText = slash < 0 ? text : text.slice(0, slash);
  const ip = parseIp(addressText);
  if (ip === null) return null;
  const widthBits = ip.family === 4 ? 32 : 128;
  if (slash < 0) return { ip, prefixBits: widthBits };
  const bitsText = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(bitsText)) return null;
  const mappedBits = ip.family === 4 && addressText.includes(':') ? 96 : 0;
  const prefixBits = Number(bitsText) - mappedBits;
  if (prefixBits < 0 || prefixBits > widthBits) return null;
  return { ip: { family: ip.family, words: maskWords(ip.words, prefixBits) }, prefixBits };
}

/** Whether the address lies in the block; blocks of the other family contain nothing of this one. */
export function cidrContains(cidr: Cidr, ip: Ip): boolean {
  if (cidr.ip.family !== ip.family) return false;
  const masked = maskWords(ip.words, cidr.prefixBits);
  return masked.every((word, index) => word === cidr.ip.words[index]);
}

/** The canonical text: dotted for IPv4, RFC 5952 for IPv6, no brackets. */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    const address = ip.words[0] as number;
    return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
  }
  const groups = ip.words.flatMap((word) => [word >>> 16, word & 0xffff]);
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** The canonical block, always with its prefix length. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.ip)}/${cidr.prefixBits}`;
}

/** The words with all bits behind the first `prefixBits` cleared. */
export function maskWords(words: readonly number[], prefixBits: number): number[] {
  return words.map((word, index) => {
    const bits = Math.min(32, Math.max(0, prefixBits - index * 32));
    return bits === 0 ? 0 : (word & (0xffffffff << (32 - bits))) >>> 0;
  });
}

function parseIpv4(text: string): number | null {
  if (text.length < 7 || text.length > 15) return null;
  let address = 0;
  let octet = -1;
  let dots = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x2e) {
      if (octet < 0 || ++dots > 3) return null;
      address = address * 256 + octet;
      octet = -1;
      continue;
    }
    const digit = code - 0x30;
    if (digit < 0 || digit > 9 || octet === 0) return null;
    octet = octet < 0 ? digit : octet * 10 + digit;
    if (octet > 255) return null;
  }
  return dots === 3 && octet >= 0 ? address * 256 + octet : null;
}

function parseIpv6(text: string): number[] | null {
  if (text.length < 2 || text.length > 45) return null;
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const last = halves.length - 1;
  const head = parseGroups(halves[0] as string, last === 0);
  const tail = last === 0 ? [] : parseGroups(halves[1] as string, true);
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (last === 0 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return [0, 2, 4, 6].map(
    (index) => (groups[index] as number) * 65536 + (groups[index + 1] as number),
  );
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const address = mayEndInIpv4 && index === parts.length - 1 ? parseIpv4(part) : null;
    if (address === null) return null;
    groups.push(address >>> 16, address & 0xffff);
  }
  return groups;
}

function isMapped(words: readonly number[]): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let index = 0; index <= groups.length; index++) {
    if (groups[index] === 0) continue;
    if (index - start > best.length) best = { start, length: index - start };
    start = index + 1;
  }
  return best;
}
