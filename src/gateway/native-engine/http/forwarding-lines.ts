import { QUOTE, TOKEN } from '../../byte-classes.js';
import { describeForwarding } from '../../forwarded.js';
import type { RequestOrigin } from '../../upstream-headers.js';
import { bytes, move, put } from './memory.js';

/** Stands for the request's own authority in what all requests from one place have in common. */
const PLACEHOLDER = 'authority.invalid';
const MAX_REMEMBERED = 1024;

const remembered = new Map<string, ForwardingLines>();

/**
 * What an upstream is told of a client that isn't a trusted proxy: it depends on where the client is
 * and on what it connected to, and on the authority that each of its requests has.
 */
export class ForwardingLines {
  readonly #before: Buffer;
  readonly #between: Buffer;
  readonly #after: Buffer;

  /** Those of other clients at the same address are the same. */
  static of(origin: RequestOrigin): ForwardingLines {
    const key = `${origin.peerIp} ${origin.destinationText}`;
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const lines = new ForwardingLines(origin);
    if (remembered.size >= MAX_REMEMBERED) remembered.clear();
    remembered.set(key, lines);
    return lines;
  }

  private constructor(origin: RequestOrigin) {
    const { fields } = describeForwarding({ headers: [], authority: PLACEHOLDER, ...origin });
    const text = fields.map(({ name, value }) => `${name}: ${value}\r\n`).join('');
    const [before = '', between = '', after = ''] = text.split(PLACEHOLDER);
    this.#before = Buffer.from(before, 'latin1');
    this.#between = Buffer.from(between, 'latin1');
    this.#after = Buffer.from(after, 'latin1');
  }

  /** At most so many bytes are written, without the authority's own. */
  get length(): number {
    return this.#before.length + this.#between.length + this.#after.length + 2;
  }

  /** Writes them to `at` for a request whose authority lies in the memory; returns where they end. */
  write(authorityStart: number, authorityEnd: number, at: number): number {
    let to = put(this.#before, at);
    to = move(authorityStart, authorityEnd, to);
    to = put(this.#between, to);
    const isToken = isTokenAt(authorityStart, authorityEnd);
    if (!isToken) bytes[to++] = QUOTE;
    to = move(authorityStart, authorityEnd, to);
    if (!isToken) bytes[to++] = QUOTE;
    return put(this.#after, to);
  }
}

/** A sound authority has nothing that would have to be escaped in quotes. */
function isTokenAt(start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (TOKEN[bytes[at] as number] === 0) return false;
  return true;
}
