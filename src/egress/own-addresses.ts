import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type Cidr, parseCidr, stripZone } from '../base/ip.js';

/**
 * All addresses that lead to this host in its network namespace, as of now. Node lists interfaces
 * that run only; the kernel answers to addresses of the others too (a bridge without members), and
 * to blocks that are routed to it.
 */
export function readOwnAddresses(): Cidr[] {
  const texts = [
    ...interfaceAddresses(),
    ...localBlocksOf(readOrEmpty('/proc/net/fib_trie')),
    ...ipv6AddressesOf(readOrEmpty('/proc/net/if_inet6')),
  ];
  return [...new Set(texts)].map(parseCidr).filter((cidr) => cidr !== null);
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => stripZone(address));
}

/** Entries of type LOCAL in the kernel's IPv4 tables, as /proc/net/fib_trie prints them. */
export function localBlocksOf(trie: string): string[] {
  let address = '';
  const found: string[] = [];
  for (const line of trie.split('\n')) {
    const [, leaf] = /^\s*\|-- (\S+)$/.exec(line) ?? [];
    const [, bits] = /^\s*\/(\d+) \S+ LOCAL\b/.exec(line) ?? [];
    if (leaf !== undefined) address = leaf;
    else if (bits !== undefined) found.push(`${address}/${bits}`);
  }
  return found;
}

/** The addresses in /proc/net/if_inet6: 32 digits without colons at the start of each line. */
export function ipv6AddressesOf(table: string): string[] {
  return [...table.matchAll(/^([0-9a-f]{32}) /gm)].map(([, digits = '']) =>
    (digits.match(/.{4}/g) ?? []).join(':'),
  );
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
