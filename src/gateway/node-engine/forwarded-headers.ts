import type { IncomingMessage } from 'node:http';
import { removeHopByHop } from '../hop-by-hop.js';
import type { HeaderField } from '../request-head.js';
import type { RequestOrigin } from '../upstream-headers.js';
import type { Connection } from './context.js';

/** What the upstream is told about the client. */
export function originOf({ listener, source, destination }: Connection): RequestOrigin {
  return {
    protocol: listener.protocol === 'https' ? 'https' : 'http',
    peerIp: source.address?.ip ?? null,
    isTrusted: listener.isTrusted,
    destination: destination.address,
    destinationText: destination.text,
  };
}

/** A response's headers for the client, without framing. */
export function headersForClient(
  rawHeaders: readonly string[],
  keepUpgrade: boolean,
): HeaderField[] {
  return removeHopByHop(pairs(rawHeaders), { keepUpgrade });
}

/** A message's trailers as Node takes them. */
export function trailersOf({ rawTrailers }: IncomingMessage): Array<[string, string]> {
  return pairs(rawTrailers).map(({ name, value }): [string, string] => [name, value]);
}

/** Node's flat list of names and values as fields. */
export function pairs(rawHeaders: readonly string[]): HeaderField[] {
  const fields: HeaderField[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    fields.push({ name: rawHeaders[index] ?? '', value: rawHeaders[index + 1] ?? '' });
  }
  return fields;
}
