import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configFromObject, loadConfig } from '../../src/config/load.js';
import { formatProblem } from '../../src/config/problem.js';
import { configOf, loadText, problemLines, withFiles } from './support.js';

const MINIMAL = `listeners:
  web: { address: "127.0.0.1:0", protocol: http }
services:
  a: { routes: [{ listener: web }], run: { command: [cat] }, upstream: tcp:3000 }
`;

test('a service that says little gets the defaults of the contract', () => {
  const [service] = configOf(loadText(MINIMAL)).services;
  expect(service).toMatchObject({
    ready: { kind: 'connect' },
    startTimeoutMs: 30_000,
    idle: { freezeMs: null, stopMs: 300_000, quietMs: 3_600_000 },
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    limits: { connections: 10_000, held: 4096, heldAgeMs: 30_000, perSource: null, rate: null },
    access: { allow: null, deny: [] },
    isolation: { network: 'private', writable: [], readable: [], hidden: [] },
    upstreams: [{ kind: 'tcp', host: '127.0.0.1', port: 3000 }],
    run: { umask: 0o022, user: null, directory: null, environment: {}, rlimits: {} },
  });
});

test('without gateways there is one, main, with all listeners', () => {
  const config = configOf(loadText(MINIMAL));
  expect(config.gateways).toEqual([
    { name: 'main', listeners: ['web'], engine: 'native', threads: 1, cpus: [] },
  ]);
  expect(config).toMatchObject({ enforce: 'required', admin: { group: null }, metrics: null });
});

test('a gateway that names no listeners takes those that no other names', () => {
  const yaml = `gateways: { first: { listeners: [web] }, rest: {} }
listeners:
  web: { address: "127.0.0.1:0", protocol: http }
  db: { address: "127.0.0.1:0", protocol: tcp }
`;
  const gateways = configOf(loadText(yaml)).gateways.map(({ name, listeners }) => [
    name,
    listeners,
  ]);
  expect(gateways).toEqual([
    ['first', ['web']],
    ['rest', ['db']],
  ]);
});

test.each([
  ['idle: never', { freezeMs: null, stopMs: null }],
  ['idle: { freeze: 1m }', { freezeMs: 60_000, stopMs: null }],
  ['idle: { freeze: 1m, stop: 10m }', { freezeMs: 60_000, stopMs: 600_000 }],
  ['idle: { quiet: 10m }', { freezeMs: null, stopMs: 300_000, quietMs: 600_000 }],
])('%s', (idle, expected) => {
  const yaml = `services:\n  a: { run: { command: [cat] }, upstream: tcp:1, ${idle} }`;
  expect(configOf(loadText(yaml)).services[0]?.idle).toMatchObject(expected);
});

test.each([
  ['stdio', 'connect', 'none'],
  ['socket', 'connect', 'none'],
  ['socket', 'notify', 'notify'],
  ['unix:/run/a.sock', 'connect', 'connect'],
])('a service with the upstream %s and ready: %s is ready by %s', (upstream, ready, kind) => {
  const yaml = `services:\n  a: { run: { command: [cat] }, upstream: "${upstream}", ready: ${ready} }`;
  expect(configOf(loadText(yaml)).services[0]?.ready.kind).toBe(kind);
});

test('defaults fill in key by key, and lists, upstreams and idle stages are the service’s own', () => {
  const yaml = `defaults:
  run: { environment: { TZ: UTC, A: "1" }, groups: [adm] }
  idle: { stop: 10m, quiet: 2h }
  limits: { held: 7, per_source: 3 }
services:
  a:
    run: { command: [cat], environment: { A: 2 }, groups: [] }
    upstream: tcp:1
    idle: { freeze: 1m }
    limits: { held: 9 }
`;
  expect(configOf(loadText(yaml)).services[0]).toMatchObject({
    run: { command: ['cat'], environment: { TZ: 'UTC', A: '2' }, groups: [] },
    idle: { freezeMs: 60_000, stopMs: null, quietMs: 7_200_000 },
    limits: { connections: 10_000, held: 9, perSource: 3 },
  });
});

test('a problem that a value from defaults makes stands where the value is written', () => {
  const yaml = `defaults: { ready: { http: /health } }
services:
  a: { run: { command: [cat] }, upstream: stdio }
`;
  expect(problemLines(loadText(yaml))).toEqual([
    'main.yaml:1:20: services.a.ready: ready by http needs a tcp: or unix: upstream, not stdio',
  ]);
});

test('names are compared without case, port and trailing dot, and IDN as punycode', () => {
  const hosts = ['WWW.Example.COM.', 'a.b:8080', '*.Bücher.example', '[::0001]:80', '10.0.0.1:80'];
  const routes = hosts.map((host) => `{ host: "${host}" }`).join(', ');
  const yaml = `${MINIMAL.replace('{ listener: web }', routes)}`;
  expect(configOf(loadText(yaml)).services[0]?.routes.map(({ host }) => host)).toEqual([
    'www.example.com',
    'a.b',
    '*.xn--bcher-kva.example',
    '::1',
    '10.0.0.1',
  ]);
});

test.each([
  '*',
  'a.*.example',
  '*a.example',
  'a..b',
  '-a.example',
  'a b',
  '[::1',
  '.',
  'x'.repeat(64),
])('the host "%s" is refused', (host) => {
  const yaml = MINIMAL.replace('{ listener: web }', `{ host: "${host}" }`);
  expect(problemLines(loadText(yaml))).toHaveLength(1);
});

test.each([
  ['10.0.0.1', '10.0.0.1/32', null],
  ['10.0.0.1:80', '10.0.0.1/32', 80],
  ['10.0.0.0/8', '10.0.0.0/8', null],
  ['::1', '::1/128', null],
  ['[0:0::1]:80', '::1/128', 80],
  ['2001:DB8::/32', '2001:db8::/32', null],
  ['::ffff:10.0.0.1', '10.0.0.1/32', null],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8', null],
])('the destination %s means %s, port %s', (destination, cidr, port) => {
  const yaml = MINIMAL.replace('listener: web', `destination: "${destination}"`);
  expect(configOf(loadText(yaml)).services[0]?.routes[0]?.destination).toEqual({ cidr, port });
});

test('routes with an upstream of their own share a list without repetitions', () => {
  const routes =
    '{ host: a }, { host: b, upstream: tcp:2 }, { host: c, upstream: "tcp:127.0.0.1:2" }';
  const [service] = configOf(loadText(MINIMAL.replace('{ listener: web }', routes))).services;
  expect(service?.upstreams).toHaveLength(2);
  expect(service?.routes.map(({ upstream }) => upstream)).toEqual([0, 1, 1]);
});

test('a port range is an address a port', () => {
  const yaml = 'listeners:\n  a: { address: ["127.0.0.1:80-82", "[::0]:0"], protocol: tcp }';
  const addresses = configOf(loadText(yaml)).listeners[0]?.addresses;
  expect(addresses).toEqual([
    ...[80, 81, 82].map((port) => ({ kind: 'ip', host: '127.0.0.1', port, family: 4 })),
    { kind: 'ip', host: '::', port: 0, family: 6 },
  ]);
});

test.each([
  ['1024', { soft: 1024, hard: 1024 }],
  ['1K:unlimited', { soft: 1024, hard: Infinity }],
  ['unlimited', { soft: Infinity, hard: Infinity }],
])('rlimits: { nofile: %s }', (limit, expected) => {
  const yaml = `services:\n  a: { run: { command: [cat], rlimits: { nofile: ${limit} } }, upstream: tcp:1 }`;
  expect(configOf(loadText(yaml)).services[0]?.run.rlimits).toEqual({ nofile: expected });
});

test('it is known where each key stands', () => {
  const result = loadText(MINIMAL);
  const locate = (...path: (string | number)[]) => result.ok && result.locate(path);
  expect(locate('services', 'a', 'routes', 0)).toMatchObject({ line: 4, column: 17 });
  expect(locate('services', 'a', 'upstream')).toMatchObject({ line: 4, column: 72 });
});

test('an object loads like a file, and its problems name the key', () => {
  const object = {
    services: { a: { run: { command: ['cat'], directory: 'x' }, upstream: 'tcp:1' } },
  };
  expect(configOf(configFromObject(object, '/srv')).services[0]?.run.directory).toBe('/srv/x');
  const wrong = configFromObject({ services: { a: { ...object.services.a, idel: 1 } } }, '/srv');
  expect(wrong.ok ? [] : wrong.problems.map(formatProblem)).toEqual([
    '<object>: services.a.idel: unknown key; did you mean "idle"?',
  ]);
  expect(configFromObject(null, '/').ok).toBe(false);
});

test('every example loads without a warning', () => {
  const files = readdirSync('config/examples').filter((file) => file.endsWith('.yaml'));
  expect(files).toContain('minimal.yaml');
  for (const file of files) {
    const result = loadConfig(join('config/examples', file));
    const complaints = result.ok ? result.warnings : result.problems;
    expect(complaints.map(formatProblem)).toEqual([]);
  }
});

test('relative paths count from the file they stand in', () => {
  const files = {
    'main.yaml': `include: [sub/more.yaml]
defaults: { run: { directory: main } }
listeners:
  l: { address: "unix:run/l.sock", protocol: https, certificates: [{ cert: c.pem, key: ../k.pem }] }
`,
    'sub/more.yaml': `services:
  a: { run: { command: [cat], environment_file: env }, upstream: tcp:1, isolation: { writable: [w, /x] } }
`,
  };
  withFiles(files, (directory) => {
    const config = configOf(loadConfig(join(directory, 'main.yaml')));
    expect(config.listeners[0]).toMatchObject({
      addresses: [{ kind: 'unix', path: join(directory, 'run/l.sock') }],
      certificates: [{ cert: join(directory, 'c.pem'), key: join(directory, '../k.pem') }],
    });
    expect(config.services[0]).toMatchObject({
      run: { directory: join(directory, 'main'), environmentFile: join(directory, 'sub/env') },
      isolation: { writable: [join(directory, 'sub/w'), '/x'] },
    });
  });
});
