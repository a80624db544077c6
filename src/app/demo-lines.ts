import type { Config, Listener, Route, Service } from '../config/model.js';
import type { Status } from '../ipc/admin-api.js';

const MAX_LINES = 16;

/** For each service a command that wakes it, for a person who has just started rouse on a terminal. */
export function renderDemoLines(config: Config, status: Status): string[] {
  const tries = config.services.flatMap((service) => tryService(service, config, status));
  if (tries.length === 0) return [];
  const width = Math.max(...tries.map(([name]) => name.length));
  const shown = tries.slice(0, MAX_LINES).map(([name, line]) => `  ${name.padEnd(width)}  ${line}`);
  const more = tries.length - shown.length;
  return [
    '',
    'Nothing runs yet. To wake it:',
    '',
    ...shown,
    ...(more > 0 ? [`  … and ${more} more`] : []),
    '',
  ];
}

/** One command a service: for its first route that can be tried from here. */
function tryService(service: Service, config: Config, status: Status): [string, string][] {
  for (const route of service.routes) {
    for (const listener of config.listeners) {
      const command = tryRoute(route, listener, addressesOf(status, listener.name));
      if (command !== null) return [[service.name, command]];
    }
  }
  return [];
}

function addressesOf(status: Status, listener: string): readonly string[] {
  return status.listeners.find(({ name }) => name === listener)?.addresses ?? [];
}

/** A command line that comes in by a route; null when the route isn't for this listener. */
function tryRoute(route: Route, listener: Listener, addresses: readonly string[]): string | null {
  if (route.listener !== null && route.listener !== listener.name) return null;
  const isHttp = listener.protocol === 'http' || listener.protocol === 'https';
  if (listener.redirect || (route.host !== null && !isHttp)) return null;
  if (route.sni !== null && listener.protocol !== 'tls') return null;
  const target = chooseTarget(route, addresses);
  if (target === null) return null;
  const name = (route.host ?? route.sni)?.replace('*', 'any') ?? null;
  switch (listener.protocol) {
    case 'http':
      return tryHttp(target, name);
    case 'https':
    case 'tls':
      return tryTls(target, name, listener.protocol);
    default:
      return tryTcp(target);
  }
}

interface Target {
  readonly host: string;
  readonly port: string;
  /** Host and port as they stand in a URL; for a Unix socket, its path. */
  readonly authority: string;
}

function chooseTarget({ destination }: Route, addresses: readonly string[]): Target | null {
  for (const address of addresses) {
    const target = parseTarget(address);
    if (!destination) return target;
    const [ip, bits] = destination.cidr.split('/');
    const wildcard = target.host === '127.0.0.1' && address.startsWith('0.0.0.0:');
    const isSingle = bits === undefined || bits === '32' || bits === '128';
    if (isSingle && ip && (target.host === ip || wildcard)) {
      if (destination.port !== null && target.port !== String(destination.port)) continue;
      const host = ip.includes(':') ? `[${ip}]` : ip;
      return { host: ip, port: target.port, authority: `${host}:${target.port}` };
    }
  }
  return null;
}

/** What to connect to for a listening address as `ip:port`, `[ip6]:port` or a path. */
function parseTarget(address: string): Target {
  const match = /^\[?(.+?)\]?:(\d+)$/.exec(address);
  if (!match?.[1] || !match[2]) return { host: '', port: '', authority: address };
  const host = match[1].replace(/^0\.0\.0\.0$/, '127.0.0.1').replace(/^::$/, '::1');
  const port = match[2];
  return { host, port, authority: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` };
}

function tryHttp({ port, authority }: Target, name: string | null): string {
  if (!port) return `curl --unix-socket ${authority} http://${name ?? 'localhost'}/`;
  return `curl ${name ? `-H 'Host: ${name}' ` : ''}http://${authority}/`;
}

function tryTls({ port, authority }: Target, name: string | null, protocol: string): string {
  if (!port) return `openssl s_client -unix ${authority}${name ? ` -servername ${name}` : ''}`;
  if (protocol === 'tls') {
    return `openssl s_client -connect ${authority}${name ? ` -servername ${name}` : ''}`;
  }
  if (!name) return `curl -k https://${authority}/`;
  return `curl -k --connect-to ${name}:${port}:${authority} https://${name}:${port}/`;
}

function tryTcp({ host, port, authority }: Target): string {
  return port ? `nc ${host} ${port}` : `nc -U ${authority}`;
}
