import { cidrContains, type Ip, isUnspecified, parseIp } from '../base/ip.js';
import { formatHostPort } from './address.js';
import { readCidr } from './cidr.js';
import type { LoadContext } from './load-context.js';
import type { ListenAddress, Listener, Route, Service } from './model.js';
import { formatKeyPath, type KeyPath } from './problem.js';
import { didYouMean } from './suggest.js';

/** What is known of the listeners: those that are right, and the names of all. */
export interface KnownListeners {
  readonly byName: ReadonlyMap<string, Listener>;
  readonly names: ReadonlySet<string>;
}

/** Reports routes that name an unknown listener or one of another protocol, and ties. */
export function checkRoutes(
  services: readonly Service[],
  listeners: KnownListeners,
  context: LoadContext,
): void {
  const taken = new Map<string, KeyPath>();
  for (const service of services) {
    for (const [index, route] of service.routes.entries()) {
      const path = ['services', service.name, 'routes', index];
      if (!checkListener(path, route, listeners, context)) continue;
      if (service.upstreams[route.upstream]?.kind === 'stdio') {
        checkStdio(path, route, listeners, context);
      }
      checkTie(path, route, taken, context);
    }
  }
}

function checkListener(
  path: KeyPath,
  route: Route,
  { byName, names }: KnownListeners,
  context: LoadContext,
): boolean {
  if (route.listener === null) return true;
  if (!names.has(route.listener)) {
    const message = `there is no listener "${route.listener}"${didYouMean(route.listener, names)}`;
    context.problem([...path, 'listener'], message);
    return false;
  }
  const listener = byName.get(route.listener);
  if (listener === undefined) return true;
  const { name, protocol } = listener;
  if (route.host !== null && !isHttp(listener)) {
    const message = `host is for http and https listeners; the protocol of ${name} is ${protocol}`;
    context.problem([...path, 'host'], message, { at: 'key' });
  }
  if (route.sni !== null && protocol !== 'tls') {
    const hint = protocol === 'https' ? '; write host' : '';
    const message = `sni is for tls listeners; the protocol of ${name} is ${protocol}${hint}`;
    context.problem([...path, 'sni'], message, { at: 'key' });
  }
  return true;
}

/** A process a connection can't be told one request from another. */
function checkStdio(
  path: KeyPath,
  route: Route,
  { byName }: KnownListeners,
  context: LoadContext,
): void {
  const http = [...byName.values()].find((one) => isHttp(one) && mayArrive(route, one));
  const isByHost = route.host !== null;
  if (!isByHost && http === undefined) return;
  const where =
    http === undefined ? 'an http listener' : `the ${http.protocol} listener ${http.name}`;
  context.problem(
    path,
    `stdio takes connections of tcp and tls listeners; this route leads there from ${where}`,
  );
}

/** Equally specific routes have equal keys: of names, blocks and listeners that differ only one matches. */
function checkTie(
  path: KeyPath,
  route: Route,
  taken: Map<string, KeyPath>,
  context: LoadContext,
): void {
  const { listener, host, sni, destination } = route;
  // None of these holds a space.
  const identity = `${listener} ${host} ${sni} ${destination?.cidr} ${destination?.port}`;
  const other = taken.get(identity);
  if (other === undefined) {
    taken.set(identity, path);
    return;
  }
  const message = `this route matches the same as ${formatKeyPath(other)}; make one of them more specific`;
  context.problem(path, message, { related: other });
}

/** Warns of listeners that no route leads away from, and of routes that nothing arrives for. */
export function warnUnreachable(
  services: readonly Service[],
  listeners: readonly Listener[],
  context: LoadContext,
): void {
  const unreached = new Set(listeners.filter(({ redirect }) => redirect === null));
  const destinations = new Destinations(listeners);
  for (const service of services) {
    if (service.routes.length === 0) {
      const message = 'no route leads here: only `rouse wake` and `reach` start it';
      context.warn(['services', service.name], message, { at: 'key' });
    }
    for (const [index, route] of service.routes.entries()) {
      for (const listener of unreached) if (mayArrive(route, listener)) unreached.delete(listener);
      const why = whyNeverMatches(route, listeners, destinations);
      if (why !== null)
        context.warn(
          ['services', service.name, 'routes', index],
          `this route never matches: ${why}`,
        );
    }
  }
  for (const { name } of unreached) {
    context.warn(['listeners', name], 'no route leads from this listener to a service', {
      at: 'key',
    });
  }
}

function whyNeverMatches(
  route: Route,
  listeners: readonly Listener[],
  destinations: Destinations,
): string | null {
  if (route.host !== null && !listeners.some(isHttp)) return 'there is no http or https listener';
  if (route.sni !== null && !listeners.some(({ protocol }) => protocol === 'tls')) {
    return 'there is no tls listener';
  }
  return route.destination === null || destinations.mayInclude(route.destination)
    ? null
    : 'no listener has this destination';
}

/** Whether something that arrives on the listener can match the route. */
function mayArrive(route: Route, listener: Listener): boolean {
  const { destination } = route;
  if (route.listener !== null && route.listener !== listener.name) return false;
  if (route.host !== null && !isHttp(listener)) return false;
  if (route.sni !== null && listener.protocol !== 'tls') return false;
  return destination === null || listener.addresses.some((one) => mayBe(one, destination));
}

function isHttp({ protocol }: Listener): boolean {
  return protocol === 'http' || protocol === 'https';
}

type Destination = NonNullable<Route['destination']>;

function mayBe(address: ListenAddress, { cidr, port }: Destination): boolean {
  if (address.kind !== 'ip') return address.kind === 'systemd';
  if (port !== null && address.port !== 0 && port !== address.port) return false;
  if (cidr === `${address.host}/${address.family === 4 ? 32 : 128}`) return true;
  const ip = parseIp(address.host);
  return ip !== null && (isWildcardFor(ip, cidr) || cidrContains(readCidr(cidr), ip));
}

/** A socket on `::` takes IPv4 connections too, ipv6(7). */
function isWildcardFor(ip: Ip, cidr: string): boolean {
  return isUnspecified(ip) && (ip.family === 6 || !cidr.includes(':'));
}

/** The destinations of all listeners; those with one address are looked up at once. */
class Destinations {
  #exact = new Set<string>();
  /** Wildcards, port 0, and what systemd has bound: may include what isn't named. */
  #open: ListenAddress[] = [];
  #all: readonly ListenAddress[];

  constructor(listeners: readonly Listener[]) {
    this.#all = listeners.flatMap(({ addresses }) => addresses);
    for (const address of this.#all) {
      if (address.kind === 'ip') {
        this.#exact.add(formatHostPort(address.host, address.port));
        this.#exact.add(address.host);
      }
      if (isOpen(address)) this.#open.push(address);
    }
  }

  mayInclude(destination: Destination): boolean {
    const [host = '', prefix] = destination.cidr.split('/');
    const isSingle = prefix === (host.includes(':') ? '128' : '32');
    const text = destination.port === null ? host : formatHostPort(host, destination.port);
    if (isSingle && this.#exact.has(text)) return true;
    return (isSingle ? this.#open : this.#all).some((one) => mayBe(one, destination));
  }
}

function isOpen(address: ListenAddress): boolean {
  if (address.kind !== 'ip') return address.kind === 'systemd';
  return address.port === 0 || address.host === '0.0.0.0' || address.host === '::';
}
