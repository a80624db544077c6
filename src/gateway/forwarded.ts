import { formatIp, parseIp, stripZone } from '../base/ip.js';
import { variableName } from './field-names.js';
import {
  type ForwardedElement,
  formatElement,
  formatNode,
  parseForwarded,
  parseNode,
} from './forwarded-element.js';
import { parseHostHeader } from './host-name.js';
import { trimSpace } from './list-value.js';
import type { HeaderField } from './request-head.js';

export interface ForwardingInput {
  readonly headers: readonly HeaderField[];
  /** Who the connection is from; null on Unix listeners. */
  readonly peerIp: string | null;
  /** Whether a proxy's word is believed (`trusted_proxies`). */
  readonly isTrusted: (ip: string) => boolean;
  readonly protocol: 'http' | 'https';
  /** The host and port that the request is for, as the client wrote them. */
  readonly authority: string | null;
  /** What the client connected to; null on Unix listeners. */
  readonly destination: { readonly ip: string; readonly port: number } | null;
}

export interface Forwarding {
  /** The nearest address that no trusted proxy has; null when there is none at all. */
  readonly clientIp: string | null;
  readonly isPeerTrusted: boolean;
  /** X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239), for the upstream. */
  readonly fields: readonly HeaderField[];
}

/** What a trusted proxy says about the way to it, the client first. */
interface Received {
  readonly nodes: readonly string[];
  readonly proto: string | null;
  readonly host: string | null;
  /** Elements of Forwarded that say the same. */
  readonly elements: readonly string[];
}

const NOTHING: Received = { nodes: [], proto: null, host: null, elements: [] };
const REPLACED = new Set(['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']);

/**
 * What to tell the upstream about the client: what a trusted peer says, plus the peer; of others
 * only the peer counts. X-Forwarded-For and Forwarded always tell the same way: where they came
 * differing, X-Forwarded-For is believed.
 */
export function describeForwarding(input: ForwardingInput): Forwarding {
  const { headers, isTrusted, protocol, authority } = input;
  const peer = input.peerIp === null ? null : canonicalIp(input.peerIp);
  const isPeerTrusted = peer !== null && isTrusted(peer);
  const received = isPeerTrusted ? readReceived(headers) : NOTHING;
  const nodes = [...received.nodes, peer ?? 'unknown'];
  const host = received.host ?? authority;
  const fields = [
    { name: 'X-Forwarded-For', value: nodes.join(', ') },
    { name: 'X-Forwarded-Proto', value: received.proto ?? protocol },
  ];
  if (host !== null) fields.push({ name: 'X-Forwarded-Host', value: host });
  const elements = [...received.elements, ownElement(input, peer)];
  fields.push({ name: 'Forwarded', value: elements.join(', ') });
  return { clientIp: findClient(peer, received.nodes, isTrusted), isPeerTrusted, fields };
}

/**
 * The headers without those that `describeForwarding` sets, and without what some servers take for
 * them; of a peer that isn't trusted also without the others of the kind (`X-Forwarded-Port`,
 * `X-Real-IP` …).
 */
export function dropForwarding(
  headers: readonly HeaderField[],
  isPeerTrusted: boolean,
): HeaderField[] {
  return headers.filter(({ name }) => {
    const seenAs = variableName(name);
    if (REPLACED.has(seenAs)) return false;
    return isPeerTrusted || !(seenAs.startsWith('x-forwarded-') || seenAs === 'x-real-ip');
  });
}

function ownElement({ protocol, authority, destination }: ForwardingInput, peer: string | null) {
  const parameters: Array<[string, string]> = [
    ['for', peer === null ? 'unknown' : formatNode(peer)],
  ];
  if (authority !== null) parameters.push(['host', authority]);
  parameters.push(['proto', protocol]);
  if (destination !== null) {
    const by = formatNode(canonicalIp(destination.ip));
    parameters.push(['by', `${by}:${destination.port}`]);
  }
  return formatElement(parameters);
}

function readReceived(headers: readonly HeaderField[]): Received {
  const forwardedFor = joinValues(headers, 'x-forwarded-for');
  const elements = parseForwarded(joinValues(headers, 'forwarded') ?? '') ?? [];
  const elementNodes = trustworthyNodes(
    elements.map(({ parameters }) => parameters.get('for') ?? ''),
  );
  const nodes = forwardedFor === null ? elementNodes : trustworthyNodes(forwardedFor.split(','));
  const isSame = elementNodes.length === elements.length && nodes.join() === elementNodes.join();
  const first = isSame ? elements[0]?.parameters : undefined;
  const proto =
    validProto(joinValues(headers, 'x-forwarded-proto')) ?? validProto(first?.get('proto'));
  const host = validHost(joinValues(headers, 'x-forwarded-host')) ?? validHost(first?.get('host'));
  const kept = isSame ? elements.map(({ text }: ForwardedElement) => text) : null;
  return { nodes, proto, host, elements: kept ?? rebuildElements(nodes, proto, host) };
}

/** From the right, as far as they can be read: the further left, the more the client's own words. */
function trustworthyNodes(texts: readonly string[]): string[] {
  const nodes: string[] = [];
  for (const text of texts.toReversed()) {
    const node = parseNode(trimSpace(text));
    if (node === null) break;
    nodes.push(node);
  }
  return nodes.reverse();
}

function rebuildElements(
  nodes: readonly string[],
  proto: string | null,
  host: string | null,
): string[] {
  return nodes.map((node, index) => {
    const parameters: Array<[string, string]> = [['for', formatNode(node)]];
    if (index === 0 && host !== null) parameters.push(['host', host]);
    if (index === 0 && proto !== null) parameters.push(['proto', proto]);
    return formatElement(parameters);
  });
}

function findClient(
  peer: string | null,
  nodes: readonly string[],
  isTrusted: (ip: string) => boolean,
): string | null {
  let client = peer;
  for (const node of nodes.toReversed()) {
    if (client === null || !isTrusted(client) || parseIp(node) === null) break;
    client = node;
  }
  return client;
}

function joinValues(headers: readonly HeaderField[], lowerName: string): string | null {
  const values = headers.filter(({ name }) => name.toLowerCase() === lowerName);
  return values.length === 0 ? null : values.map(({ value }) => value).join(',');
}

/** Where proxies made a list of it, the first is the client's. */
function validProto(text: string | null | undefined): string | null {
  const proto = trimSpace(text?.split(',')[0] ?? '').toLowerCase();
  return proto === 'http' || proto === 'https' ? proto : null;
}

function validHost(text: string | null | undefined): string | null {
  const host = trimSpace(text?.split(',')[0] ?? '');
  return parseHostHeader(host) !== null ? host : null;
}

function canonicalIp(text: string): string {
  const ip = parseIp(stripZone(text));
  return ip === null ? text : formatIp(ip);
}
