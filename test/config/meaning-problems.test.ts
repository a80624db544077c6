import { expect, test } from 'vitest';
import { loadText, problemLines, warningLines } from './support.js';

const LISTENERS = `listeners:
  web: { address: "127.0.0.1:80", protocol: http }
  tls: { address: "127.0.0.1:443", protocol: tls }
  tcp: { address: "127.0.0.1:5432", protocol: tcp }
services:
`;

/** A service in lines 6 and 7, another in 8 and 9. */
function services(first: string, second = ''): string {
  const rest = second === '' ? '' : `  b:\n    ${second}\n`;
  return `${LISTENERS}  a:\n    ${first}\n${rest}`;
}

const RUN = 'run: { command: [cat] }';

const CASES: readonly (readonly [title: string, yaml: string, lines: readonly string[]])[] = [
  [
    'two routes for one host',
    services(
      `{ ${RUN}, upstream: tcp:1, routes: [{ host: Example.COM. }] }`,
      `{ ${RUN}, upstream: tcp:1, routes: [{ host: "example.com:80" }] }`,
    ),
    [
      'main.yaml:9:58: services.b.routes[0]: this route matches the same as services.a.routes[0]; make one of them more specific (the other: main.yaml:7:58)',
    ],
  ],
  [
    'two routes for one destination of one listener',
    services(
      `{ ${RUN}, upstream: tcp:1, routes: [{ listener: tcp, destination: 127.0.0.1/32 }, { listener: tcp, destination: 127.0.0.1 }] }`,
    ),
    [
      'main.yaml:7:104: services.a.routes[1]: this route matches the same as services.a.routes[0]; make one of them more specific (the other: main.yaml:7:58)',
    ],
  ],
  [
    'an unknown listener',
    services(`{ ${RUN}, upstream: tcp:1, routes: [{ listener: wbe }] }`),
    [
      'main.yaml:7:70: services.a.routes[0].listener: there is no listener "wbe"; did you mean "web"?',
    ],
  ],
  [
    'host and sni on listeners of other protocols',
    services(
      `{ ${RUN}, upstream: tcp:1, routes: [{ listener: tls, host: a.b }, { listener: web, sni: a.b }] }`,
    ),
    [
      'main.yaml:7:75: services.a.routes[0].host: host is for http and https listeners; the protocol of tls is tls',
      'main.yaml:7:105: services.a.routes[1].sni: sni is for tls listeners; the protocol of web is http',
    ],
  ],
  [
    'host and sni in one route',
    services(`{ ${RUN}, upstream: tcp:1, routes: [{ host: a.b, sni: a.b }] }`),
    [
      'main.yaml:7:71: services.a.routes[0].sni: host is for http and https, sni for tls: write two routes (the other: main.yaml:7:66)',
    ],
  ],
  [
    'a route without any condition',
    services(`{ ${RUN}, upstream: tcp:1, routes: [{ upstream: tcp:2 }] }`),
    [
      'main.yaml:7:58: services.a.routes[0]: a route needs a listener, a host, an sni or a destination',
    ],
  ],
  [
    'bits outside the mask',
    services(`{ ${RUN}, upstream: tcp:1, routes: [{ destination: 127.0.0.1/8 }] }`),
    [
      'main.yaml:7:73: services.a.routes[0].destination: "127.0.0.1/8" has bits set outside its mask; write 127.0.0.0/8 or the address alone',
    ],
  ],
  [
    'stdio from an http listener, by listener, host or destination',
    services(
      `{ ${RUN}, upstream: stdio, routes: [{ listener: web }, { host: a.b }, { destination: "127.0.0.1:80" }, { destination: "127.0.0.1:5432" }] }`,
    ),
    [58, 77, 92].map(
      (column, index) =>
        `main.yaml:7:${column}: services.a.routes[${index}]: stdio takes connections of tcp and tls listeners; this route leads there from the http listener web`,
    ),
  ],
  [
    'upstreams that one service cannot have together',
    services(
      `{ ${RUN}, upstream: tcp:1, routes: [{ listener: tcp, upstream: stdio }, { listener: tls, upstream: socket }] }`,
    ),
    [
      'main.yaml:7:85: services.a.routes[0].upstream: a service with the upstream tcp cannot be reached by stdio too',
      'main.yaml:7:121: services.a.routes[1].upstream: a service with the upstream tcp cannot be reached by socket too',
    ],
  ],
  [
    'readiness that an upstream cannot have',
    services(
      `{ ${RUN}, upstream: socket, ready: { http: / } }`,
      `{ ${RUN}, upstream: stdio, ready: notify }`,
    ),
    [
      'main.yaml:7:57: services.a.ready: ready by http needs a tcp: or unix: upstream, not socket',
      'main.yaml:9:56: services.b.ready: notify is not for stdio: each connection has a process of its own',
    ],
  ],
  [
    'reach: no such service, itself, not the loopback, an address twice',
    services(
      `{ ${RUN}, upstream: tcp:1, reach: { a: "127.0.0.1:2", bb: "127.0.0.1:3", b: "10.0.0.1:4" } }`,
      `{ ${RUN}, upstream: tcp:1, reach: { a: "127.0.0.1:1" } }`,
    ),
    [
      'main.yaml:7:58: services.a.reach.a: a service cannot reach itself',
      'main.yaml:7:76: services.a.reach.bb: there is no service "bb"; did you mean "b"?',
      'main.yaml:7:98: services.a.reach.b: must be an address of the loopback, as 127.0.0.1:5432',
      'main.yaml:9:61: services.b.reach.a: this address is that of the upstream of this service',
    ],
  ],
  [
    'a service as root',
    services('{ run: { command: [cat], user: root }, upstream: tcp:1 }'),
    ['main.yaml:7:36: services.a.run.user: a service never runs as root; name another user'],
  ],
  [
    'a freeze that never comes',
    services(`{ ${RUN}, upstream: tcp:1, idle: { freeze: 10m, stop: 5m } }`),
    ['main.yaml:7:65: services.a.idle.freeze: freeze comes before stop: it must be shorter'],
  ],
  [
    'listeners on one address',
    `listeners:
  a: { address: "127.0.0.1:80-81", protocol: tcp }
  b: { address: ["127.0.0.2:80", "127.0.0.1:81"], protocol: tcp }
  c: { address: "0.0.0.0:80", protocol: tcp }
  d: { address: "127.0.0.1:0", protocol: tcp }
  e: { address: "127.0.0.1:0", protocol: tcp }
metrics: { address: "127.0.0.1:81" }
`,
    [
      'main.yaml:2:17: listeners.a.address: 127.0.0.1:80 is part of 0.0.0.0:80, which is taken by listener c (the other: main.yaml:4:17)',
      'main.yaml:3:17: listeners.b.address: 127.0.0.1:81 is taken by listener a (the other: main.yaml:2:17)',
      'main.yaml:3:17: listeners.b.address: 127.0.0.2:80 is part of 0.0.0.0:80, which is taken by listener c (the other: main.yaml:4:17)',
      'main.yaml:7:21: metrics.address: 127.0.0.1:81 is taken by listener a (the other: main.yaml:2:17)',
    ],
  ],
  [
    'keys of listeners that their protocol does not have',
    `listeners:
  a: { address: "127.0.0.1:1", protocol: https }
  b: { address: "127.0.0.1:2", protocol: tls, certificates: [{ cert: c, key: k }] }
  c: { address: "127.0.0.1:3", protocol: tcp, redirect: https }
`,
    [
      'main.yaml:2:3: listeners.a.certificates: an https listener needs a certificate',
      'main.yaml:3:47: listeners.b.certificates: certificates are for https listeners, not for tls; a tls listener passes connections through unopened',
      'main.yaml:4:47: listeners.c.redirect: redirect is for http listeners, not for tcp',
    ],
  ],
  [
    'gateways: a listener in two, in none, unknown',
    `${LISTENERS.replace('services:', 'gateways:')}  x: { listeners: [web, tpc] }\n  y: { listeners: [web] }\n`,
    [
      'main.yaml:3:3: listeners.tls: no gateway has this listener',
      'main.yaml:4:3: listeners.tcp: no gateway has this listener',
      'main.yaml:6:25: gateways.x.listeners[1]: there is no listener "tpc"; did you mean "tcp"?',
      'main.yaml:7:20: gateways.y.listeners[0]: gateway x has this listener already (the other: main.yaml:6:20)',
    ],
  ],
  [
    'two gateways that both take the rest',
    `${LISTENERS.replace('services:', 'gateways:')}  x: {}\n  y: {}\n`,
    [
      'main.yaml:7:3: gateways.y: only one gateway may leave out its listeners; x does too (the other: main.yaml:6:6)',
    ],
  ],
];

test.each(CASES)('%s', (_title, yaml, lines) => {
  expect(problemLines(loadText(yaml))).toEqual(lines);
});

test('what is of no use is a warning', () => {
  const yaml = services(
    `{ ${RUN}, upstream: tcp:1 }`,
    `{ ${RUN}, upstream: tcp:1, routes: [{ listener: web }, { sni: a.b }, { destination: 127.0.0.9 }] }`,
  );
  expect(warningLines(loadText(yaml))).toEqual([
    'main.yaml:4:3: listeners.tcp: no route leads from this listener to a service',
    'main.yaml:6:3: services.a: no route leads here: only `rouse wake` and `reach` start it',
    'main.yaml:9:91: services.b.routes[2]: this route never matches: no listener has this destination',
  ]);
});

test.each([
  ['an exact name and a wildcard', '{ host: a.example.com }', '{ host: "*.example.com" }'],
  ['a block and an address in it', '{ destination: 127.0.0.0/8 }', '{ destination: 127.0.0.1 }'],
  [
    'an address and one port of it',
    '{ destination: 127.0.0.1 }',
    '{ destination: "127.0.0.1:80" }',
  ],
  ['everywhere and one listener', '{ host: a.b }', '{ host: a.b, listener: web }'],
  ['a host and a server name', '{ host: a.b }', '{ sni: a.b }'],
])('%s is no tie', (_title, first, second) => {
  const yaml = services(
    `{ ${RUN}, upstream: tcp:1, routes: [${first}] }`,
    `{ ${RUN}, upstream: tcp:1, routes: [${second}] }`,
  );
  expect(problemLines(loadText(yaml))).toEqual([]);
});
