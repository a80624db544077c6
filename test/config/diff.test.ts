import { expect, test } from 'vitest';
import { diffConfigs } from '../../src/config/diff.js';
import { configOf, loadText } from './support.js';

const BASE = `listeners:
  web: { address: "127.0.0.1:80", protocol: http }
  db: { address: "127.0.0.1:81", protocol: tcp }
services:
  a: { routes: [{ listener: web }], run: { command: [cat] }, upstream: tcp:1 }
  b: { routes: [{ listener: db }], run: { command: [cat] }, upstream: tcp:1 }
`;

/** What of the difference isn't empty. */
function diff(from: string, to: string): unknown {
  const result = diffConfigs(configOf(loadText(from)), configOf(loadText(to)));
  return JSON.parse(
    JSON.stringify(result, (_key, value: unknown) =>
      typeof value === 'object' && value !== null && Object.keys(value).length === 0
        ? undefined
        : value,
    ),
  );
}

const NOTHING = { listeners: {}, services: {}, gateways: {} };

test('comments, blank lines and other spellings of the same change nothing', () => {
  const same = `# hello\n\n${BASE.replace('upstream: tcp:1 }', 'upstream: "tcp:127.0.0.1:1", stop_timeout: 10s }')}`;
  expect(diff(BASE, same)).toEqual(NOTHING);
});

test.each([
  ['upstream: tcp:1 }', 'upstream: tcp:2 }', { services: { changed: ['a'] } }],
  ['command: [cat]', 'command: [cat, -u]', { services: { changed: ['a'] } }],
  ['{ listener: web }', '{ host: x }', { services: { routesChanged: ['a'] } }],
  ['tcp:1 }', 'tcp:1, idle: never }', { services: { routesChanged: ['a'] } }],
  ['tcp:1 }', 'tcp:1, limits: { held: 1 } }', { services: { routesChanged: ['a'] } }],
  ['tcp:1 }', 'tcp:1, access: { deny: [::1] } }', { services: { routesChanged: ['a'] } }],
  [
    '{ listener: web }',
    '{ listener: web, upstream: tcp:9 }',
    { services: { changed: ['a'], routesChanged: ['a'] } },
  ],
  ['127.0.0.1:80', '127.0.0.1:88', { listeners: { changed: ['web'] } }],
  ['http }', 'http, backlog: 9 }', { listeners: { changed: ['web'] } }],
  ['http }', 'http, redirect: https }', { listeners: { settingsChanged: ['web'] } }],
  ['http }', 'http, access: { allow: [] } }', { listeners: { settingsChanged: ['web'] } }],
  ['listeners:', 'log: { level: debug }\nlisteners:', { topLevel: ['log'] }],
  [
    'listeners:',
    'gateways: { main: { threads: 2 } }\nlisteners:',
    { gateways: { changed: ['main'] } },
  ],
])('%s → %s', (from, to, expected) => {
  expect(diff(BASE, BASE.replace(from, to))).toEqual({ ...NOTHING, ...expected });
});

test('what came and what went', () => {
  const other = BASE.replace('  a: {', '  c: {')
    .replace('  db: {', '  sql: {')
    .replace('listener: db', 'listener: sql');
  expect(diff(BASE, other)).toMatchObject({
    listeners: { added: ['sql'], removed: ['db'] },
    services: { added: ['c'], removed: ['a'], routesChanged: ['b'] },
    gateways: { changed: ['main'] },
  });
});
