import { formatIp, parseIp, stripZone } from '../base/ip.js';
import { UNIX_SOURCE } from './access-list.js';

/**
 * How many connections each source has open. It holds one number for each source that has some, so
 * it is as bounded as the connections are. IPv4-mapped IPv6 counts as IPv4; clients of Unix sockets
 * have no address and aren't counted.
 */
export class SourceLimits {
  readonly #open = new Map<string, number>();

  /** Sources with connections open. */
  get size(): number {
    return this.#open.size;
  }

  /** Counts a connection, unless its source has `limit` already. Each success wants one `close`. */
  tryOpen(sourceIp: string, limit: number): boolean {
    if (sourceIp.startsWith(UNIX_SOURCE)) return true;
    const source = sourceKey(sourceIp);
    const open = this.#open.get(source) ?? 0;
    if (open >= limit) return false;
    this.#open.set(source, open + 1);
    return true;
  }

  /** Takes a connection back that `tryOpen` counted. */
  close(sourceIp: string): void {
    const source = sourceKey(sourceIp);
    const open = this.#open.get(source) ?? 0;
    if (open > 1) this.#open.set(source, open - 1);
    else this.#open.delete(source);
  }
}

function sourceKey(sourceIp: string): string {
  const ip = parseIp(stripZone(sourceIp));
  return ip === null ? sourceIp : formatIp(ip);
}
