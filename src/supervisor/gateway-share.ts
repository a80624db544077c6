import { readFileSync } from 'node:fs';
import { messageOf, RouseError } from '../base/errors.js';
import type {
  Config,
  GatewaySettings,
  Listener,
  Protocol,
  Route,
  Service,
} from '../config/model.js';
import { formatUpstream } from '../config/upstream.js';
import type {
  GatewayConfig,
  GatewayListener,
  GatewayService,
  ServiceTerms,
} from '../ipc/gateway-config.js';
import type { LanePlan } from './gateway-life.js';
import type { GatewayShare } from './gateway-link.js';
import { LaneShare } from './lane-share.js';
import { reachListenerName } from './reach.js';

const NO_ACCESS_RULES = { allow: null, deny: [] };

/** What the native engine takes; all else is the node engine's. */
const NATIVE_PROTOCOLS: ReadonlySet<Protocol> = new Set<Protocol>(['tcp', 'tls', 'http']);

/** The main thread has the node engine, which some protocols always run on; native engines have threads of their own. */
export function lanesOf({ engine, threads }: GatewaySettings): LanePlan[] {
  const native =
    engine === 'native'
      ? Array.from({ length: threads }, () => ({ engine: 'native' }) as const)
      : [];
  return [{ engine: 'node' }, ...native];
}

/**
 * A gateway's share of the config: its listeners, with certificates read, and the services that they
 * lead to, with those of its routes only that it can use, lane by lane. `reach` is the first
 * gateway's. Throws a `RouseError` of code `config` where a certificate can't be read.
 */
export function shareFor(
  config: Config,
  gateway: GatewaySettings,
  generation: number,
): GatewayShare {
  const lanes = lanesOf(gateway).map(({ engine }) => {
    const isTaken = (protocol: Protocol) =>
      (gateway.engine === 'native' && NATIVE_PROTOCOLS.has(protocol)) === (engine === 'native');
    return new LaneShare(shareOfLane(config, gateway, generation, isTaken));
  });
  return { generation, lanes };
}

function shareOfLane(
  config: Config,
  gateway: GatewaySettings,
  generation: number,
  isTaken: (protocol: Protocol) => boolean,
): GatewayConfig {
  const own = new Set(gateway.listeners);
  const listeners = config.listeners.filter(
    ({ name, protocol }) => own.has(name) && isTaken(protocol),
  );
  const hasReach = config.gateways[0] === gateway && isTaken('tcp');
  const reached = hasReach ? config.services.flatMap(reachListenersOf) : [];
  const targets = new Set(reached.map(({ fixedService }) => fixedService));
  const termsOf = createTerms();
  const services = config.services
    .map((service) => ({
      service,
      routes: service.routes.filter((route) =>
        listeners.some((listener) => applies(route, listener)),
      ),
    }))
    .filter(({ service, routes }) => routes.length > 0 || targets.has(service.name))
    .map(({ service, routes }) => shareOfService(service, routes, termsOf));
  return {
    generation,
    gateway: gateway.name,
    listeners: [...listeners.map(shareOfListener), ...reached],
    services,
    log: config.log,
  };
}

function applies(route: Route, listener: Listener): boolean {
  if (route.listener !== null) return route.listener === listener.name;
  return route.host !== null
    ? HTTP.has(listener.protocol)
    : route.sni !== null
      ? listener.protocol === 'tls'
      : route.destination !== null;
}

const HTTP: ReadonlySet<Protocol> = new Set<Protocol>(['http', 'https']);

function shareOfListener(listener: Listener): GatewayListener {
  return {
    name: listener.name,
    protocol: listener.protocol,
    redirect: listener.redirect,
    access: listener.access,
    trustedProxies: listener.trustedProxies,
    certificates: listener.certificates.map(({ cert, key }) => ({
      cert: readPem(listener, cert),
      key: readPem(listener, key),
    })),
    fixedService: null,
  };
}

function readPem(listener: Listener, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new RouseError(
      'config',
      `listener ${listener.name}: cannot read ${path}: ${messageOf(error)}`,
    );
  }
}

function reachListenersOf(service: Service): GatewayListener[] {
  return Object.keys(service.reach).map((target) => ({
    name: reachListenerName(service.name, target),
    protocol: 'tcp',
    redirect: null,
    access: NO_ACCESS_RULES,
    trustedProxies: [],
    certificates: [],
    fixedService: target,
  }));
}

/** What the terms of a service are; equal ones are one object. */
function createTerms(): (service: Service) => ServiceTerms {
  const known = new Map<string, ServiceTerms>();
  return ({ upstreams, access, limits, idle }) => {
    const terms: ServiceTerms = {
      upstreams: upstreams.map((upstream) => ({
        key: formatUpstream(upstream),
        kind: upstream.kind,
      })),
      access,
      limits,
      idle,
    };
    const text = JSON.stringify(terms);
    const same = known.get(text);
    if (!same) known.set(text, terms);
    return same ?? terms;
  };
}

function shareOfService(
  service: Service,
  routes: readonly Route[],
  termsOf: (service: Service) => ServiceTerms,
): GatewayService {
  return {
    name: service.name,
    routes: routes.map(({ listener, host, sni, destination, upstream }) => ({
      listener,
      host,
      sni,
      destination,
      upstream,
    })),
    terms: termsOf(service),
  };
}
