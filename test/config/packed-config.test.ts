import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/model.js';
import { packConfig, unpackConfig } from '../../src/config/packed-config.js';
import { configOf, loadText, withFiles } from './support.js';

const EVERYTHING = `listeners:
  web: { address: "127.0.0.1:80", protocol: http }
  names: { address: "127.0.0.1:81", protocol: tls }
services:
  a:
    routes: [{ host: a.test, listener: web }, { sni: b.test, upstream: tcp:9 }, { destination: "127.0.0.1:81" }]
    run:
      command: [cat]
      directory: /srv
      environment: { A: "1" }
      environment_file: /env
      user: u
      group: g
      groups: [h]
      umask: "077"
      nice: 3
      rlimits: { nofile: unlimited }
    upstream: tcp:1
    reach: { b: "127.0.0.1:5" }
    egress: ["a.test:443"]
    ready: { http: /ok }
    start_timeout: 1s
    idle: { freeze: 1s, stop: 2s, quiet: 3s, reclaim: true, hold: true }
    stop_signal: SIGINT
    stop_timeout: 4s
    limits: { connections: 1, held: 2, held_age: 3s, per_source: 4, rate: 5/s }
    access: { allow: [::1], deny: [10.0.0.0/8] }
    resources: { memory: 1M, cpu: 5%, tasks: 6, io: 7, tmp: 8M }
    isolation: { writable: [/w], readable: [/r], hidden: [/h], state: true }
    cpus: [1]
  b: { run: { command: [cat] }, upstream: socket, routes: [{ host: b.test }] }
  c: { run: { command: [cat] }, upstream: socket, idle: never }
`;

/** As it arrives in another thread. */
const send = (config: Config) => unpackConfig(structuredClone(packConfig(config)));

test('a configuration arrives in another thread as it was', async () => {
  const config = configOf(loadText(EVERYTHING));
  expect(await send(config)).toEqual(config);
});

test.each(readdirSync('config/examples').filter((name) => name.endsWith('.yaml')))(
  '%s arrives as it was',
  async (name) => {
    const config = configOf(loadConfig(`config/examples/${name}`));
    expect(await send(config)).toEqual(config);
  },
);

test('what services have in common arrives once; other work gets its turn while many are unpacked', async () => {
  const service = '{ run: { command: [cat] }, upstream: tcp:1, idle: { stop: 1m } }';
  const names = Array.from({ length: 2000 }, (_, index) => `s${index}`);
  const text = `services:\n${names.map((name) => `  ${name}: ${service}`).join('\n')}\n`;
  const config = withFiles({ 'main.yaml': text }, (directory) =>
    configOf(loadConfig(`${directory}/main.yaml`)),
  );
  const packed = structuredClone(packConfig(config));
  let turns = 0;
  const counter = setInterval(() => {
    turns += 1;
  }, 0);
  const { services } = await unpackConfig(packed);
  clearInterval(counter);
  expect(services.map(({ name }) => name)).toEqual(names);
  for (const { idle, run } of services) {
    expect(idle).toBe(services[0]?.idle);
    expect(run.command).toBe(services[0]?.run.command);
  }
  expect(turns).toBeGreaterThan(0);
});
