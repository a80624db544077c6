import { expect, test } from 'vitest';
import { buildRunConfig, type RunFlags } from '../../src/app/run-command.js';
import { configFromObject } from '../../src/config/load.js';

const FLAGS: RunFlags = { listen: ['127.0.0.1:0'], protocol: 'tcp', upstream: 'socket', env: [] };
const ENV = { PATH: '/usr/bin', SECRET: 'x', LANG: 'C' };

function build(flags: Partial<RunFlags>, command = ['node', 'server.js']) {
  return buildRunConfig(command, { ...FLAGS, ...flags }, ENV, '/srv');
}

test('flags become the configuration that they stand for', () => {
  const flags: Partial<RunFlags> = {
    listen: ['127.0.0.1:8080', '[::1]:8080'],
    protocol: 'http',
    upstream: 'tcp:3000',
    idle: '10s',
    ready: 'http:/health',
    engine: 'node',
    env: ['A=1=2', 'LANG', 'UNSET'],
    network: 'host',
    name: 'app',
  };
  expect(build(flags)).toEqual({
    enforce: 'best-effort',
    listeners: { main: { address: ['127.0.0.1:8080', '[::1]:8080'], protocol: 'http' } },
    gateways: { main: { engine: 'node' } },
    services: {
      app: {
        routes: [{ listener: 'main' }],
        run: {
          command: ['node', 'server.js'],
          directory: '/srv',
          environment: { PATH: '/usr/bin', A: '1=2', LANG: 'C' },
        },
        upstream: 'tcp:3000',
        idle: { stop: '10s' },
        ready: { http: '/health' },
        isolation: { network: 'host' },
      },
    },
  });
});

test.each([
  [['/srv/My App.js'], 'my-app'],
  [['node', 'server.js'], 'node'],
  [['./--'], 'service'],
])('%j is named %s', (command, name) => {
  expect(Object.keys((build({}, command) as { services: object }).services)).toEqual([name]);
});

test.each<[Partial<RunFlags>]>([
  [{}],
  [{ protocol: 'http', upstream: 'tcp:3000', idle: 'never' }],
  [{ protocol: 'tls', upstream: 'unix:/run/app.sock', ready: 'notify', idle: '500ms' }],
  [{ listen: ['unix:app.sock'], upstream: 'stdio', engine: 'node' }],
])('%j is a valid configuration', (flags) => {
  const result = configFromObject(build(flags), '/srv');
  expect(result).toMatchObject({ ok: true, config: { enforce: 'best-effort' } });
});

test.each<[Partial<RunFlags>, RegExp]>([
  [{ protocol: 'https' }, /--cert and --key/],
  [{ cert: 'a.pem', key: 'a.key' }, /--protocol https/],
  [{ env: ['=x'] }, /--env =x/],
  [{ ready: 'soon' }, /--ready soon/],
])('%j is wrong usage', (flags, message) => {
  expect(() => build(flags)).toThrow(message);
});
