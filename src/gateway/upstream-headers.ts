import { describeForwarding, dropForwarding } from './forwarded.js';
import { removeHopByHop } from './hop-by-hop.js';
import type { HeaderField, RequestHead } from './request-head.js';

/** An upgrade to HTTP/2 would take the connection away from routing request by request. */
const REFUSED_PROTOCOLS = /^h2c?$/;

/** Where a request came from and where it arrived. */
export interface RequestOrigin {
  readonly protocol: 'http' | 'https';
  /** Null on Unix listeners. */
  readonly peerIp: string | null;
  readonly isTrusted: (ip: string) => boolean;
  /** What the client connected to; null on Unix listeners. */
  readonly destination: { readonly ip: string; readonly port: number } | null;
  readonly destinationText: string;
}

/** Whether the client asks for another protocol that a service may accept. */
export function offersUpgrade({ upgrade }: RequestHead): boolean {
  return upgrade !== null && !upgrade.some((protocol) => REFUSED_PROTOCOLS.test(protocol));
}

/** The `Host` to send on. */
function hostForUpstream(
  { authority }: RequestHead,
  { destination, destinationText }: RequestOrigin,
): string {
  return authority ?? (destination === null ? 'localhost' : destinationText);
}

/** A request's headers for the upstream, framing included. */
export function headersForUpstream(head: RequestHead, origin: RequestOrigin): HeaderField[] {
  const { authority, framing, minorVersion } = head;
  const forwarding = describeForwarding({ headers: head.headers, authority, ...origin });
  const kept = dropForwarding(
    removeHopByHop(head.headers, { keepUpgrade: offersUpgrade(head) }),
    forwarding.isPeerTrusted,
  ).filter(({ name }) => {
    const lower = name.toLowerCase();
    if (lower === 'expect') return minorVersion === 1;
    return lower === 'trailer' ? framing.kind === 'chunked' : lower !== 'host';
  });
  const host = { name: 'Host', value: hostForUpstream(head, origin) };
  const fields = [host, ...kept, ...forwarding.fields];
  if (framing.kind === 'chunked') fields.push({ name: 'Transfer-Encoding', value: 'chunked' });
  return fields;
}
