import { lookup } from 'node:dns/promises';
import { messageOf } from '../base/errors.js';
import { type Ip, parseIp, stripZone } from '../base/ip.js';
import { EgressRefusal } from './refusals.js';

/** Each takes a thread of libuv's pool as long as name servers don't answer. */
const PARALLEL_LOOKUPS = 16;
const TIMEOUT_MS = 10_000;

/**
 * Looks names up as every program of the host does (getaddrinfo(3): /etc/hosts, DNS). One for each
 * service: it bounds how many look-ups one service can have under way.
 */
export class Resolver {
  #running = 0;
  readonly #waiting: Array<() => void> = [];

  /** All addresses of a name, in the order to try them. Rejects with an `EgressRefusal`. */
  async resolve(name: string): Promise<readonly Ip[]> {
    const timeout = timeoutOf(name);
    try {
      return await Promise.race([this.#lookUpInTurn(name, timeout.signal), timeout.expired]);
    } finally {
      timeout.clear();
    }
  }

  async #lookUpInTurn(name: string, signal: AbortSignal): Promise<readonly Ip[]> {
    if (this.#running >= PARALLEL_LOOKUPS) {
      await new Promise<void>((resume) => this.#waiting.push(resume));
    } else this.#running += 1;
    try {
      return signal.aborted ? [] : await lookUp(name);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}

async function lookUp(name: string): Promise<readonly Ip[]> {
  let found: readonly { readonly address: string }[];
  try {
    found = await lookup(name, { all: true, verbatim: true });
  } catch (error) {
    throw new EgressRefusal('unresolvable', messageOf(error));
  }
  const addresses = found.map(({ address }) => parseIp(stripZone(address)));
  const known = addresses.filter((ip) => ip !== null);
  if (known.length === 0) throw new EgressRefusal('unresolvable');
  return known;
}

function timeoutOf(name: string) {
  const controller = new AbortController();
  let timer: NodeJS.Timeout;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      controller.abort();
      reject(new EgressRefusal('timeout', `no answer from the name servers for ${name}`));
    }, TIMEOUT_MS);
  });
  return { signal: controller.signal, expired, clear: () => clearTimeout(timer) };
}
