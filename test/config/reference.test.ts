import { expect, test } from 'vitest';
import { listConfigKeys, renderReference, toJsonSchema } from '../../src/config/reference.js';

test('config/REFERENCE.md is what the schema says (vitest -u writes it)', async () => {
  await expect(renderReference()).toMatchFileSnapshot('../../config/REFERENCE.md');
});

test('every key has a sentence, a type and a reload effect', () => {
  for (const key of listConfigKeys()) {
    expect(key.description, key.path).toMatch(/^[A-Z`].*\.$/);
    expect(key.reload, key.path).not.toBe('');
    expect(key.type, key.path).not.toMatch(/pipe|transform|unknown/);
  }
});

test('the keys of the contract are all there', () => {
  const paths = new Set(listConfigKeys().map(({ path }) => path));
  const service = [
    ...['routes', 'run', 'upstream', 'reach', 'ready', 'start_timeout', 'idle', 'stop_signal'],
    ...['stop_timeout', 'limits', 'access', 'resources', 'isolation', 'cpus'],
    ...['routes[].listener', 'routes[].host', 'routes[].sni', 'routes[].destination'],
    ...['routes[].upstream', 'run.command', 'run.directory', 'run.environment'],
    ...['run.environment_file', 'run.user', 'run.group', 'run.groups', 'run.umask', 'run.nice'],
    ...['run.rlimits', 'idle.freeze', 'idle.stop', 'idle.quiet', 'limits.connections'],
    ...['limits.held', 'limits.held_age', 'limits.per_source', 'limits.rate', 'access.allow'],
    ...['access.deny', 'resources.memory', 'resources.cpu', 'resources.tasks', 'ready.http'],
    ...['isolation.network', 'isolation.writable', 'isolation.readable', 'isolation.hidden'],
  ].map((path) => `services.NAME.${path}`);
  const rest = [
    ...['include', 'listeners', 'services', 'defaults', 'gateways', 'enforce', 'start_parallel'],
    ...['log.level', 'log.access', 'admin.group', 'metrics.address', 'listeners.NAME.access'],
    ...['gateways.NAME.listeners', 'gateways.NAME.engine', 'gateways.NAME.threads'],
    ...['gateways.NAME.cpus', 'listeners.NAME.address', 'listeners.NAME.protocol'],
  ];
  expect([...service, ...rest].filter((path) => !paths.has(path))).toEqual([]);
});

interface Node {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
}

test('editors can complete keys: the JSON Schema describes them and refuses others', () => {
  const schema = toJsonSchema() as Node;
  const services = schema.properties?.services?.additionalProperties as Node;
  expect(services.properties?.idle?.description).toMatch(/nobody uses it/);
  expect(services.additionalProperties).toBe(false);
  expect(JSON.stringify(schema)).not.toMatch(/shownDefault|"reload"|"form"/);
});
