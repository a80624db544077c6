import { makeHosts } from './names.mjs';

const HOSTS = makeHosts(10);
const RELAYS = ['rouse native', 'rouse node', 'haproxy', 'nginx', 'socket-proxyd'];
const HTTP = ['rouse native', 'rouse node', 'haproxy', 'nginx'];
const MEBIBYTE = 1_048_576;

const tcp = { protocol: 'tcp', backend: 'echo', contenders: RELAYS };
const bulk = { protocol: 'tcp', backend: 'bulk', warmUpCount: 200, contenders: RELAYS };
const http = { protocol: 'http', backend: 'http', hosts: HOSTS, contenders: HTTP };

/** CPU time of the proxy for each answer. */
const throughput = { measure: 'load', metric: 'cpuMicros' };
const idle = { measure: 'memory', metric: 'growthBytes', warmUpConnections: 500 };

const BULK_AIMS = [
  { atMost: 0.45, of: ['haproxy'] },
  { atMost: 0.95, of: ['socket-proxyd'] },
];
const IDLE_CONNECTIONS = 5000;

/** Answers at once, without any module: what starts fastest here. LISTEN_FDS begin at descriptor 3. */
const TRIVIAL_SERVER = [
  'perl',
  '-e',
  'open(L, "+<&=", 3) or die; while (accept(C, L)) { syswrite(C, "hello\\n"); close(C) }',
];

/**
 * What is compared. `measure` and `metric`: how and by which figure; `load`: what the client does;
 * `aims`: at most so much of what the best of `of` needs.
 */
export const ROWS = [
  {
    name: 'tcp-keepalive',
    title: 'TCP keep-alive, 64 bytes and back, 64 connections',
    ...tcp,
    ...throughput,
    load: { kind: 'echo', connections: 64, keepAlive: true },
    aims: [{ atMost: 0.9, of: ['haproxy'] }],
  },
  {
    name: 'tcp-connection',
    title: 'TCP, a connection a request, 32 at once',
    ...tcp,
    ...throughput,
    load: { kind: 'echo', connections: 32, keepAlive: false },
    aims: [{ atMost: 1, of: ['haproxy'] }],
  },
  {
    name: 'bulk-16m',
    title: 'TCP, 16 MiB answers, 4 connections',
    ...bulk,
    ...throughput,
    load: { kind: 'bulk', bytes: 16 * MEBIBYTE, connections: 4, keepAlive: true },
    aims: BULK_AIMS,
  },
  {
    name: 'bulk-1g',
    title: 'TCP, 1 GiB answers, 1 connection',
    ...bulk,
    warmUpCount: 2,
    ...throughput,
    load: { kind: 'bulk', bytes: 1024 * MEBIBYTE, connections: 1, keepAlive: true },
    aims: BULK_AIMS,
  },
  {
    name: 'bulk-200',
    title: 'TCP, 4 MiB answers, 200 connections',
    ...bulk,
    ...throughput,
    load: { kind: 'bulk', bytes: 4 * MEBIBYTE, connections: 200, keepAlive: true },
    aims: BULK_AIMS,
  },
  {
    name: 'tls-connection',
    title: 'TLS passed through by SNI, a connection a request, 8 at once',
    protocol: 'tls',
    backend: 'tls',
    hosts: HOSTS,
    contenders: ['rouse native', 'rouse node', 'haproxy', 'nginx', 'sniproxy'],
    ...throughput,
    warmUpCount: 3000,
    load: { kind: 'tls', names: HOSTS.length, connections: 8 },
    aims: [{ atMost: 1, of: ['haproxy', 'nginx', 'sniproxy'] }],
  },
  {
    name: 'http-keepalive',
    title: 'HTTP by Host, keep-alive, 64 connections',
    ...http,
    ...throughput,
    load: { kind: 'http', names: HOSTS.length, connections: 64, keepAlive: true },
    aims: [{ atMost: 0.8, of: ['haproxy', 'nginx'] }],
  },
  {
    name: 'http-connection',
    title: 'HTTP by Host, a connection a request, 32 at once',
    ...http,
    ...throughput,
    load: { kind: 'http', names: HOSTS.length, connections: 32, keepAlive: false },
    aims: [{ atMost: 1, of: ['haproxy', 'nginx'] }],
  },
  {
    name: 'http-names',
    title: 'HTTP by Host, 100,000 names beside 10, another one each request, 64 connections',
    ...http,
    contenders: ['rouse native, 100000 names', 'rouse native'],
    ...throughput,
    load: {
      kind: 'http',
      names: HOSTS.length,
      services: HOSTS.length,
      rotate: true,
      connections: 64,
      keepAlive: true,
    },
    aims: [{ atMost: 1.1, of: ['rouse native'] }],
  },
  {
    name: 'idle-tcp',
    title: '5,000 open TCP connections after one exchange each: growth of memory',
    ...tcp,
    ...idle,
    load: { kind: 'echo', idle: IDLE_CONNECTIONS },
    aims: [{ atMost: 1, of: ['haproxy'] }],
  },
  {
    name: 'idle-http',
    title: '5,000 open HTTP connections after one request each: growth of memory',
    ...http,
    ...idle,
    load: { kind: 'http', names: HOSTS.length, keepAlive: true, idle: IDLE_CONNECTIONS },
    aims: [{ atMost: 1, of: ['haproxy'] }],
  },
  {
    name: 'stdio',
    title: 'stdio: connect to end of /bin/echo, one after the other',
    protocol: 'stdio',
    service: ['/bin/echo', 'hello'],
    contenders: ['rouse native', 'rouse node', 'xinetd', 'socket-activate'],
    measure: 'load',
    metric: 'p50Micros',
    warmUpCount: 1000,
    load: { kind: 'greeting', expected: 'hello\n', connections: 1, keepAlive: false },
    aims: [{ atMost: 0.8, of: ['xinetd'] }],
  },
  {
    name: 'cold-start',
    title: 'cold start to the first byte, inherited socket, VPS in place',
    protocol: 'socket',
    service: TRIVIAL_SERVER,
    contenders: ['rouse native', 'rouse node', 'socket-activate'],
    measure: 'coldStart',
    metric: 'p50Micros',
    load: { kind: 'greeting', expected: 'hello\n', connections: 1, keepAlive: false },
    aims: [{ atMost: 1, of: ['socket-activate'] }],
  },
];
