const HOSTS = Array.from({ length: 10 }, (_, index) => `site${index}.bench.example`);
const TCP = ['rouse native', 'rouse node', 'haproxy', 'nginx', 'socket-proxyd'];
const HTTP = ['rouse native', 'rouse node', 'haproxy', 'nginx'];

/**
 * What is compared. `aims`: at most so much of what the best of `of` needs. `load` is what the client
 * does; `unit` is what one exchange of it is called.
 */
export const ROWS = [
  {
    name: 'tcp-keepalive',
    title: 'TCP keep-alive, 64 bytes and back, 64 connections',
    protocol: 'tcp',
    backend: 'echo',
    contenders: TCP,
    load: { kind: 'echo', connections: 64, keepAlive: true },
    aims: [{ atMost: 0.9, of: ['haproxy'] }],
  },
  {
    name: 'tcp-connection',
    title: 'TCP, a connection a request, 32 at once',
    protocol: 'tcp',
    backend: 'echo',
    contenders: TCP,
    load: { kind: 'echo', connections: 32, keepAlive: false },
    aims: [{ atMost: 1, of: ['haproxy'] }],
  },
  {
    name: 'http-keepalive',
    title: 'HTTP by Host, keep-alive, 64 connections',
    protocol: 'http',
    backend: 'http',
    hosts: HOSTS,
    contenders: HTTP,
    load: { kind: 'http', hosts: HOSTS, connections: 64, keepAlive: true },
    aims: [{ atMost: 0.8, of: ['haproxy', 'nginx'] }],
  },
  {
    name: 'http-connection',
    title: 'HTTP by Host, a connection a request, 32 at once',
    protocol: 'http',
    backend: 'http',
    hosts: HOSTS,
    contenders: HTTP,
    load: { kind: 'http', hosts: HOSTS, connections: 32, keepAlive: false },
    aims: [{ atMost: 1, of: ['haproxy', 'nginx'] }],
  },
];
