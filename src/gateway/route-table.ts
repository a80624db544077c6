import { CidrMap } from '../base/cidr-map.js';
import { type Ip, parseCidr, parseIp, stripZone } from '../base/ip.js';
import type { GatewayConfig, GatewayRoute, GatewayService } from '../ipc/gateway-config.js';
import type { RouteMatch, RouteTable } from './engine.js';
import type { HostReading } from './host-name.js';
import { hashOf, NameIndex } from './name-index.js';

const DOT = 0x2e;

type Destination = Parameters<RouteTable['match']>[1];

/** What the client connected to, read once for a look-up. */
interface Place {
  readonly listener: string;
  readonly ip: Ip | null;
  readonly port: number;
}

/**
 * Builds the look-up of a configuration. The more specific name wins (exact, wildcard, none), then
 * the more specific destination (address and port, address, longer prefix; at the same prefix the
 * one with a port), then a route with a listener; a listener with a fixed service always leads
 * there. A look-up costs the same however many routes there are. Throws on a malformed CIDR.
 */
export function buildRouteTable(config: GatewayConfig): RouteTable {
  const listeners = new Map(config.listeners.map((listener) => [listener.name, listener]));
  const fixed = findFixed(config);
  const byHost = new NameTable();
  const bySni = new NameTable();
  const unnamed = new PlaceTable();
  const matches = createMatcher();
  for (const service of config.services) {
    for (const route of service.routes) {
      // A route with both has no listener: host is for http and https only, sni for tls only.
      if (route.host !== null && route.sni !== null) continue;
      const match = matches(service, route.upstream);
      if (route.host !== null) byHost.add(route.host, route, match);
      else if (route.sni !== null) bySni.add(route.sni, route, match);
      else unnamed.add(route, match);
    }
  }
  const usesDestinations = config.services.some(({ routes }) =>
    routes.some(({ destination }) => destination !== null),
  );
  const placeOf = (listener: string, destination: Destination): Place => ({
    listener,
    ip: usesDestinations && destination !== null ? parseIp(stripZone(destination.ip)) : null,
    port: destination?.port ?? 0,
  });
  const fixedOf = (listener: string) => listeners.get(listener)?.fixedService ?? null;
  return {
    match(listener, destination, host, sni) {
      const fixedService = fixedOf(listener);
      if (fixedService !== null) return fixed.get(fixedService) ?? null;
      const place = placeOf(listener, destination);
      return byHost.find(host, place) ?? bySni.find(sni, place) ?? unnamed.find(place);
    },
    matchHost(listener, destination, bytes, host) {
      const fixedService = fixedOf(listener);
      if (fixedService !== null) return fixed.get(fixedService) ?? null;
      const place = placeOf(listener, destination);
      const named = host === null ? null : byHost.findHost(bytes, host, place);
      return named ?? unnamed.find(place);
    },
    listener: (name) => listeners.get(name) ?? null,
  };
}

/** Where listeners with a fixed service lead, by service. */
function findFixed({ listeners, services }: GatewayConfig): Map<string, RouteMatch | null> {
  const wanted = new Set(listeners.map(({ fixedService }) => fixedService));
  const reached = services.filter(({ name }) => wanted.has(name));
  return new Map(reached.map((service) => [service.name, toMatch(service, 0)]));
}

/** As `toMatch`; routes of one service that lead to the same upstream share their match. */
function createMatcher(): typeof toMatch {
  let last: GatewayService | null = null;
  let known: (RouteMatch | null)[] = [];
  return (service, index) => {
    if (service !== last) known = [];
    last = service;
    known[index] ??= toMatch(service, index);
    return known[index];
  };
}

function toMatch(service: GatewayService, index: number): RouteMatch | null {
  const upstream = service.terms.upstreams[index];
  if (upstream === undefined) return null;
  const { key, kind } = upstream;
  return {
    service: service.name,
    upstream: key,
    upstreamKind: kind,
    quietMs: service.terms.idle.quietMs,
  };
}

/** Most names have one route and nothing else: then it stands here itself. */
type NamedRoutes = NameIndex<RouteMatch | PlaceTable>;

/** Routes by name: exact ones, and `*.` before what they end in. */
class NameTable {
  readonly #exact: NamedRoutes = new NameIndex();
  readonly #wildcard: NamedRoutes = new NameIndex();

  add(name: string, route: GatewayRoute, match: RouteMatch | null): void {
    if (match === null) return;
    const isWildcard = name.startsWith('*.');
    const named = isWildcard ? this.#wildcard : this.#exact;
    const key = isWildcard ? name.slice(2) : name;
    const known = named.get(key);
    if (known === undefined && route.destination === null && route.listener === null) {
      named.set(key, match);
      return;
    }
    const table = known instanceof PlaceTable ? known : new PlaceTable(known ?? null);
    named.set(key, table);
    table.add(route, match);
  }

  find(name: string | null, place: Place): RouteMatch | null {
    if (name === null) return null;
    const exact = findAt(this.#exact.get(name), place);
    if (exact) return exact;
    const dot = name.indexOf('.');
    return dot < 1 ? null : findAt(this.#wildcard.get(name.slice(dot + 1)), place);
  }

  findHost(bytes: Uint8Array, host: HostReading, place: Place): RouteMatch | null {
    if (host.literal !== null) return this.find(host.literal, place);
    const { start, end, hash } = host;
    const exact = findAt(this.#exact.find(bytes, start, end, hash), place);
    if (exact || this.#wildcard.size === 0) return exact;
    const suffix = bytes.indexOf(DOT, start) + 1;
    if (suffix === 0 || suffix >= end) return null;
    return findAt(this.#wildcard.find(bytes, suffix, end, hashOf(bytes, suffix, end)), place);
  }
}

function findAt(found: RouteMatch | PlaceTable | undefined, place: Place): RouteMatch | null {
  return found instanceof PlaceTable ? found.find(place) : (found ?? null);
}

/** Routes of one name by destination, and those without one. */
class PlaceTable {
  readonly #anywhere: ListenerTable;
  #byCidr: CidrMap<PortTable> | null = null;

  constructor(anywhere: RouteMatch | null = null) {
    this.#anywhere = new ListenerTable(anywhere);
  }

  add({ destination, listener }: GatewayRoute, match: RouteMatch | null): void {
    if (destination === null) {
      this.#anywhere.add(listener, match);
      return;
    }
    const cidr = parseCidr(destination.cidr);
    if (cidr === null) throw new TypeError(`${JSON.stringify(destination.cidr)} is not a CIDR`);
    this.#byCidr ??= new CidrMap();
    const ports = this.#byCidr.get(cidr) ?? new PortTable();
    this.#byCidr.set(cidr, ports);
    ports.add(destination.port, listener, match);
  }

  find(place: Place): RouteMatch | null {
    const { ip } = place;
    const placed =
      ip === null || this.#byCidr === null
        ? null
        : this.#byCidr.find(ip, (ports) => ports.find(place));
    return placed ?? this.#anywhere.find(place.listener);
  }
}

/** Routes of one block of destinations. */
class PortTable {
  readonly #byPort = new Map<number, ListenerTable>();
  readonly #anyPort = new ListenerTable();

  add(port: number | null, listener: string | null, match: RouteMatch | null): void {
    if (port === null) {
      this.#anyPort.add(listener, match);
      return;
    }
    const table = this.#byPort.get(port) ?? new ListenerTable();
    this.#byPort.set(port, table);
    table.add(listener, match);
  }

  find({ port, listener }: Place): RouteMatch | null {
    return this.#byPort.get(port)?.find(listener) ?? this.#anyPort.find(listener);
  }
}

/** The last step. Ties are errors of the configuration; here the first one counts. */
class ListenerTable {
  #byListener: Map<string, RouteMatch> | null = null;
  #any: RouteMatch | null;

  constructor(any: RouteMatch | null = null) {
    this.#any = any;
  }

  add(listener: string | null, match: RouteMatch | null): void {
    if (match === null) return;
    if (listener === null) {
      this.#any ??= match;
      return;
    }
    this.#byListener ??= new Map();
    if (!this.#byListener.has(listener)) this.#byListener.set(listener, match);
  }

  find(listener: string): RouteMatch | null {
    return this.#byListener?.get(listener) ?? this.#any;
  }
}
