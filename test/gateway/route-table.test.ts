import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cidrContains, parseCidr, parseIp } from '../../src/base/ip.js';
import type { RouteTable } from '../../src/gateway/engine.js';
import { HostReading } from '../../src/gateway/host-name.js';
import { buildRouteTable } from '../../src/gateway/route-table.js';
import type {
  GatewayConfig,
  GatewayListener,
  GatewayRoute,
  GatewayService,
} from '../../src/ipc/gateway-config.js';

const OPEN = { allow: null, deny: [] };

function listener(name: string, fixedService: string | null = null): GatewayListener {
  const base = { name, protocol: 'http', redirect: null, access: OPEN } as const;
  return { ...base, trustedProxies: [], certificates: [], fixedService };
}

function route(keys: Partial<GatewayRoute>): GatewayRoute {
  return { listener: null, host: null, sni: null, destination: null, upstream: 0, ...keys };
}

function service(name: string, ...routes: Partial<GatewayRoute>[]): GatewayService {
  return {
    name,
    routes: routes.map(route),
    terms: {
      upstreams: [
        { key: 'tcp:127.0.0.1:80', kind: 'tcp' },
        { key: 'unix:/s', kind: 'unix' },
      ],
      access: OPEN,
      limits: { connections: 1, held: 1, heldAgeMs: 1, perSource: null, rate: null },
      idle: { freezeMs: null, stopMs: null, quietMs: 5, reclaim: false, hold: false },
    },
  };
}

function table(services: readonly GatewayService[], listeners = [listener('web'), listener('db')]) {
  const log = { level: 'info', access: false };
  const config: GatewayConfig = { generation: 1, gateway: 'main', listeners, services, log };
  return buildRouteTable(config);
}

function to(cidr: string, port: number | null = null) {
  return { destination: { cidr, port } };
}

const HERE = { ip: '10.0.0.2', port: 2007 };

describe('a name', () => {
  const routes = table([
    service('exact', { host: 'a.b.c' }),
    service('wide', { host: '*.b.c' }),
    service('wider', { host: '*.c' }),
    service('rest', { listener: 'web' }),
    service('tls', { sni: 'a.b.c' }, { sni: '*.b.c', upstream: 1 }),
  ]);

  it.each([
    ['a.b.c', 'exact'],
    ['x.b.c', 'wide'],
    ['b.c', 'wider'],
    ['c', 'rest'],
    ['x.y.b.c', 'rest'],
    ['.b.c', 'rest'],
    [null, 'rest'],
    ['constructor', 'rest'],
  ])('%s leads to %s', (host, expected) => {
    expect(routes.match('web', HERE, host, null)?.service).toBe(expected);
  });

  it('of a TLS client leads to its own routes and upstreams', () => {
    expect(routes.match('db', HERE, null, 'a.b.c')).toEqual({
      service: 'tls',
      upstream: 'tcp:127.0.0.1:80',
      upstreamKind: 'tcp',
      quietMs: 5,
    });
    expect(routes.match('db', HERE, null, 'x.b.c')).toMatchObject({ upstreamKind: 'unix' });
    expect(routes.match('db', HERE, null, 'x.y')).toBeNull();
  });

  it('wins over any destination', () => {
    const both = table([service('name', { host: '*.b' }), service('place', to('10.0.0.2', 2007))]);
    expect(both.match('web', HERE, 'a.b', null)?.service).toBe('name');
    expect(both.match('web', HERE, 'b', null)?.service).toBe('place');
  });

  it('whose routes are for elsewhere gives way to a wider one', () => {
    const both = table([
      service('elsewhere', { host: 'a.b', ...to('10.9.0.0/16') }),
      service('wide', { host: '*.b' }),
    ]);
    expect(both.match('web', HERE, 'a.b', null)?.service).toBe('wide');
  });
});

describe('a destination', () => {
  const routes = table([
    service('port', to('10.0.0.2/32', 2007)),
    service('address', to('10.0.0.2/32')),
    service('net port', to('10.0.0.0/24', 2007)),
    service('net', to('10.0.0.0/24')),
    service('v6', to('2001:db8::/32')),
    service('listener', { listener: 'web' }),
  ]);

  it.each([
    ['10.0.0.2', 2007, 'port'],
    ['10.0.0.2', 2008, 'address'],
    ['10.0.0.3', 2007, 'net port'],
    ['10.0.0.3', 2008, 'net'],
    ['10.0.1.3', 2007, 'listener'],
    ['::ffff:10.0.0.2', 2007, 'port'],
    ['2001:db8::5', 1, 'v6'],
  ])('%s:%i leads to %s', (ip, port, expected) => {
    expect(routes.match('web', { ip, port }, null, null)?.service).toBe(expected);
  });

  it('that is a Unix socket has the listener’s routes only', () => {
    expect(routes.match('web', null, null, null)?.service).toBe('listener');
    expect(routes.match('db', null, null, null)).toBeNull();
  });

  it('wins over a listener, which wins over none', () => {
    const all = table([
      service('both', { listener: 'web', ...to('10.0.0.2/32') }),
      service('place', to('10.0.0.2/32')),
      service('listener', { listener: 'db' }),
      service('any', {}),
    ]);
    expect(all.match('web', HERE, null, null)?.service).toBe('both');
    expect(all.match('db', HERE, null, null)?.service).toBe('place');
    expect(all.match('db', null, null, null)?.service).toBe('listener');
    expect(all.match('web', null, null, null)?.service).toBe('any');
  });
});

describe('a listener', () => {
  it('with a fixed service leads there, whatever the routes say', () => {
    const listeners = [listener('reach', 'postgres'), listener('lost', 'gone')];
    const services = [service('postgres'), service('blog', { host: 'a' }, to('0.0.0.0/0'))];
    const routes = table(services, listeners);
    expect(routes.match('reach', HERE, 'a', null)?.service).toBe('postgres');
    expect(routes.match('lost', HERE, 'a', null)).toBeNull();
    expect(routes.listener('reach')?.fixedService).toBe('postgres');
    expect(routes.listener('nowhere')).toBeNull();
  });
});

it('a malformed destination cannot be built in', () => {
  expect(() => table([service('a', to('10.0.0.0/99'))])).toThrow('is not a CIDR');
});

it('any routes are chosen between as the contract says', () => {
  const name = fc.constantFrom('a.b.c', 'b.c', 'x.b.c', 'c');
  const pattern = fc.oneof(name, fc.constantFrom('*.b.c', '*.c', '*.x.b.c'));
  const cidr = fc.constantFrom(
    '10.0.0.1/32',
    '10.0.0.2/32',
    '10.0.0.0/30',
    '0.0.0.0/0',
    '::/0',
    '2001:db8::1/128',
  );
  const port = fc.option(fc.constantFrom(1, 2));
  const anyRoute = fc
    .record({
      listener: fc.option(fc.constantFrom('web', 'db')),
      host: fc.option(pattern),
      sni: fc.option(pattern, { freq: 1 }),
      destination: fc.option(fc.record({ cidr, port })),
    })
    .map((keys) => route(keys));
  const ip = fc.constantFrom(
    '10.0.0.1',
    '10.0.0.2',
    '10.0.0.9',
    '::ffff:10.0.0.1',
    '2001:db8::1',
    '::1',
  );
  const query = fc.record({
    listener: fc.constantFrom('web', 'db'),
    destination: fc.option(fc.record({ ip, port: fc.constantFrom(1, 2, 3) })),
    host: fc.option(name),
    isTls: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(anyRoute, { maxLength: 25 }), fc.array(query), (routes, queries) => {
      const services = routes.map((keys, index) => service(`s${index}`, keys));
      const built = table(services);
      for (const { listener, destination, host, isTls } of queries) {
        const asked = {
          listener,
          destination,
          host: isTls ? null : host,
          sni: isTls ? host : null,
        };
        const match = built.match(listener, destination, asked.host, asked.sni);
        if (!isTls) expect(matchSpelled(built, listener, destination, host)).toBe(match);
        const best = rank(routes, asked);
        if (best.length === 0) expect(match).toBeNull();
        else expect(best).toContain(match?.service);
      }
    }),
    { seed: 1, numRuns: 1_000 },
  );
});

/** As a request spells the host. */
function matchSpelled(
  built: RouteTable,
  listener: string,
  destination: Asked['destination'],
  host: string | null,
) {
  const bytes = Buffer.from(`Host: ${host?.toUpperCase()}.:80`);
  const reading = new HostReading();
  if (host !== null) expect(reading.read(bytes, 'Host: '.length, bytes.length)).toBe(true);
  return built.matchHost(listener, destination, bytes, host === null ? null : reading);
}

interface Asked {
  readonly listener: string;
  readonly destination: { readonly ip: string; readonly port: number } | null;
  readonly host: string | null;
  readonly sni: string | null;
}

/** The contract's sentences, one after the other, over all routes; several only for ties. */
function rank(routes: readonly GatewayRoute[], asked: Asked): string[] {
  const scored = routes.flatMap((keys, index) => {
    const score = scoreOf(keys, asked);
    return score === null ? [] : [{ name: `s${index}`, score }];
  });
  const best = scored.reduce((top, { score }) => (isHigher(score, top) ? score : top), [-1]);
  return scored.filter(({ score }) => !isHigher(best, score)).map(({ name }) => name);
}

function scoreOf(keys: GatewayRoute, asked: Asked): number[] | null {
  if (keys.listener !== null && keys.listener !== asked.listener) return null;
  const names = [nameScore(keys.host, asked.host), nameScore(keys.sni, asked.sni)];
  const place = placeScore(keys.destination, asked.destination);
  if (names.includes(null) || place === null) return null;
  return [Math.max(...(names as number[])), ...place, keys.listener === null ? 0 : 1];
}

function nameScore(pattern: string | null, name: string | null): number | null {
  if (pattern === null) return 0;
  if (name === null) return null;
  if (pattern === name) return 1_000;
  const matches =
    pattern.startsWith('*.') && name.split('.').slice(1).join('.') === pattern.slice(2);
  return matches ? pattern.length : null;
}

function placeScore(
  pattern: GatewayRoute['destination'],
  place: Asked['destination'],
): number[] | null {
  if (pattern === null) return [-1, 0];
  const cidr = parseCidr(pattern.cidr);
  const ip = place === null ? null : parseIp(place.ip);
  if (cidr === null || ip === null || !cidrContains(cidr, ip)) return null;
  if (pattern.port !== null && pattern.port !== place?.port) return null;
  return [cidr.prefixBits, pattern.port === null ? 0 : 1];
}

function isHigher(score: readonly number[], than: readonly number[]): boolean {
  const index = score.findIndex((part, at) => part !== than[at]);
  return index >= 0 && (score[index] as number) > (than[index] ?? -2);
}
