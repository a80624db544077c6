import { expect, test } from 'vitest';
import { loadText, problemLines } from './support.js';

const SERVICE = 'run: { command: [cat] }, upstream: tcp:3000';

/** What is written, and every line that `rouse check` prints about it. */
const CASES: readonly (readonly [title: string, yaml: string, lines: readonly string[]])[] = [
  [
    'a misspelt top-level key',
    'lisetners: {}',
    ['main.yaml:1:1: lisetners: unknown key; did you mean "listeners"?'],
  ],
  [
    'a misspelt key of a service is not reported a second time as missing',
    'services:\n  a:\n    rnu: { command: [cat] }\n    upstream: tcp:1\n',
    ['main.yaml:3:5: services.a.rnu: unknown key; did you mean "run"?'],
  ],
  [
    'a key that nothing resembles',
    `services:\n  a: { ${SERVICE}, colour: red }`,
    ['main.yaml:2:53: services.a.colour: unknown key'],
  ],
  [
    'a misspelt key in one branch of several',
    `services:\n  a:\n    ${SERVICE.replaceAll(', u', '\n    u')}\n    idle: { freze: 1m }\n`,
    ['main.yaml:5:13: services.a.idle.freze: unknown key; did you mean "freeze"?'],
  ],
  [
    'several problems at once, in the order of the file',
    'listeners:\n  web: { address: "8080", protocol: htp, backlog: 0 }\n',
    [
      'main.yaml:2:19: listeners.web.address: "8080" names no address; write 127.0.0.1:8080 for this host only or 0.0.0.0:8080 for every address',
      'main.yaml:2:37: listeners.web.protocol: expected "tcp", "tls", "http" or "https", not "htp"; did you mean "http"?',
      'main.yaml:2:51: listeners.web.backlog: must be at least 1',
    ],
  ],
  [
    'keys that are missing',
    'listeners:\n  web: { address: "127.0.0.1:80" }\nservices:\n  a: {}\n',
    [
      'main.yaml:2:3: listeners.web.protocol: this key is missing',
      'main.yaml:4:3: services.a.run.command: this key is missing; write [PROGRAM, ARGUMENT, …]',
      'main.yaml:4:3: services.a.upstream: this key is missing; write tcp:PORT, unix:/PATH, socket or stdio',
    ],
  ],
  [
    'values of the wrong kind',
    `services:\n  a: { ${SERVICE}, routes: web, idle: 5, cpus: [x] }`,
    [
      'main.yaml:2:61: services.a.routes: expected a list, not "web"',
      'main.yaml:2:72: services.a.idle: expected a map or "never", not 5',
      'main.yaml:2:82: services.a.cpus[0]: expected a whole number, not "x"',
    ],
  ],
  [
    'durations, sizes and rates',
    `services:\n  a:\n    ${SERVICE.replaceAll(', u', '\n    u')}\n    start_timeout: 30\n    stop_timeout: 30 s\n    limits: { rate: 100, held_age: 90d }\n    resources: { memory: 1.5G, cpu: 2 }\n`,
    [
      'main.yaml:5:20: services.a.start_timeout: expected text, not 30',
      'main.yaml:6:19: services.a.stop_timeout: "30 s" is no duration; write 500ms, 30s, 5m, 2h or 1d',
      'main.yaml:7:21: services.a.limits.rate: expected text, not 100',
      'main.yaml:7:36: services.a.limits.held_age: "90d" is too long; 24d at most',
      'main.yaml:8:26: services.a.resources.memory: "1.5G" is no size; write 64K, 256M or 2G',
      'main.yaml:8:37: services.a.resources.cpu: expected text, not 2',
    ],
  ],
  [
    'a number that YAML would change',
    'services:\n  a: { run: { command: [cat], environment: { V: 1.10 } }, upstream: stdio }',
    ['main.yaml:2:49: services.a.run.environment.V: expected text; put the value in quotes'],
  ],
  [
    'a umask that is not octal',
    'services:\n  a: { run: { command: [cat], umask: 22 }, upstream: stdio }',
    ['main.yaml:2:38: services.a.run.umask: "22" is no umask; write it in octal, 022'],
  ],
  [
    'names that cannot be part of a path',
    `services:\n  ../etc: { ${SERVICE} }\n`,
    [
      'main.yaml:2:3: services."../etc": a name starts with a letter or a digit and has 63 of A-Z a-z 0-9 . _ - at most',
    ],
  ],
  [
    'what comes with a later version',
    `listeners:\n  dns: { address: "0.0.0.0:53", protocol: udp }\nservices:\n  a: { run: { command: [cat] }, upstream: listener }\n  b: { run: { command: [cat] }, upstream: udp:53 }\n`,
    [
      'main.yaml:2:43: listeners.dns.protocol: the protocol "udp" is not supported by this version yet',
      'main.yaml:4:43: services.a.upstream: the upstream "listener" is not supported by this version yet',
      'main.yaml:5:43: services.b.upstream: the upstream "udp:53" is not supported by this version yet',
    ],
  ],
  [
    'a problem in defaults is reported once, not for every service',
    `defaults: { stop_timeout: soon }\nservices:\n  a: { ${SERVICE} }\n  b: { ${SERVICE} }\n`,
    [
      'main.yaml:1:27: defaults.stop_timeout: "soon" is no duration; write 500ms, 30s, 5m, 2h or 1d',
    ],
  ],
  ['an empty map', 'services:\n', ['main.yaml:1:1: services: expected a map of names']],
  ['a list at the top', '- a\n', ['main.yaml:1:1: expected a map of keys at the top']],
];

test.each(CASES)('%s', (_title, yaml, lines) => {
  expect(problemLines(loadText(yaml))).toEqual(lines);
});

test.each([
  ['localhost:8080', 'write 127.0.0.1:8080'],
  [':8080', 'write 127.0.0.1:8080 for this host only or 0.0.0.0:8080 for every address'],
  ['example.com:80', 'names are not looked up; write its IP address'],
  ['::1', 'write [::1]:PORT'],
  ['127.0.0.1', 'write 127.0.0.1:PORT'],
  ['127.0.0.1:70000', 'the port must be a number from 1 to 65535'],
  ['127.0.0.1:90-80', 'the range of ports runs backwards'],
  ['127.0.0.1:0-80', 'the port must be a number from 1 to 65535'],
  ['unix:', 'the path after unix: is missing'],
  [`unix:/${'x'.repeat(107)}`, 'may have 107 bytes at most'],
  ['systemd:', 'a name from LISTEN_FDNAMES'],
  ['systemd:a:b', 'a name from LISTEN_FDNAMES'],
  ['web', 'is no address'],
])('the address %s is refused, with what to write', (address, hint) => {
  const yaml = `listeners:\n  web: { address: "${address}", protocol: tcp }`;
  const lines = problemLines(loadText(yaml));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^main\.yaml:2:19: listeners\.web\.address: /);
  expect(lines[0]).toContain(hint);
});

test.each([
  ['3000', 'write tcp:3000'],
  ['tcp:0', 'the port must be'],
  ['tcp:db:5432', 'the host must be an IP address'],
  ['tcp:::1:80', 'the host must be an IP address'],
  ['unix:run/x.sock', 'must start with /'],
  ['stdin', 'is no upstream'],
])('the upstream %s is refused, with what to write', (upstream, hint) => {
  const yaml = `services:\n  a: { run: { command: [cat] }, upstream: "${upstream}" }`;
  const lines = problemLines(loadText(yaml));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(hint);
});
