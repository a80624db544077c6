import type { IncomingMessage } from 'node:http';
import { describeForwarding, dropForwarding } from '../forwarded.js';
import { removeHopByHop } from '../hop-by-hop.js';
import type { HeaderField, RequestHead } from '../request-head.js';
import type { Connection } from './context.js';

/** An upgrade to HTTP/2 would take the connection away from routing request by request. */
const REFUSED_PROTOCOLS = /^h2c?$/;

/** Whether the client asks for another protocol that a service may accept. */
export function offersUpgrade({ upgrade }: RequestHead): boolean {
  return upgrade !== null && !upgrade.some((protocol) => REFUSED_PROTOCOLS.test(protocol));
}

/** A request's headers for the upstream, framing included. */
export function headersForUpstream(head: RequestHead, client: Connection): HeaderField[] {
  const { authority, framing, minorVersion } = head;
  const { listener, source, destination } = client;
  const forwarding = describeForwarding({
    headers: head.headers,
    peerIp: source.address?.ip ?? null,
    isTrusted: listener.isTrusted,
    protocol: listener.protocol === 'https' ? 'https' : 'http',
    authority,
    destination: destination.address,
  });
  const kept = dropForwarding(
    removeHopByHop(head.headers, { keepUpgrade: offersUpgrade(head) }),
    forwarding.isPeerTrusted,
  ).filter(({ name }) => {
    const lower = name.toLowerCase();
    if (lower === 'expect') return minorVersion === 1;
    return lower === 'trailer' ? framing.kind === 'chunked' : lower !== 'host';
  });
  const host = authority ?? (destination.address === null ? 'localhost' : destination.text);
  const fields = [{ name: 'Host', value: host }, ...kept, ...forwarding.fields];
  if (framing.kind === 'chunked') fields.push({ name: 'Transfer-Encoding', value: 'chunked' });
  return fields;
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
