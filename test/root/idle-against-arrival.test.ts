import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { helloMessage, hostName, records, serverName } from '../gateway/client-hellos.js';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import { RunningRouse, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { seededRandom } from './seeded-random.js';

const SEED = 20_240_607;
const DURATION_MS = 30_000;
/** A machine that is busy with other things gets more time for them. */
const WANTED_STOPS = 200;
const WANTED_FREEZES = 100;
const TIMEOUT_MS = 180_000;
const GATEWAYS = ['a', 'b'];
const STOPPING = { stop: '20ms' };
const FREEZING = { freeze: '10ms', stop: '40ms' };

type Protocol = 'tcp' | 'tls' | 'http';

const SERVICES: readonly { name: string; protocol: Protocol; server?: string; idle: object }[] = [
  { name: 'tcp-stopping', protocol: 'tcp', idle: STOPPING },
  { name: 'tcp-freezing', protocol: 'tcp', idle: FREEZING },
  { name: 'tls-stopping', protocol: 'tls', idle: STOPPING },
  { name: 'tls-freezing', protocol: 'tls', idle: FREEZING },
  { name: 'http-stopping', protocol: 'http', idle: STOPPING },
  { name: 'http-freezing', protocol: 'http', idle: FREEZING },
  { name: 'pooled-stopping', protocol: 'http', server: 'keep-alive-server.pl', idle: STOPPING },
];

const keepAlive = new http.Agent({ keepAlive: true });

/** One request, with its answer checked; none is tried twice. */
const VISITS: Record<Protocol, (port: number, name: string, random: number) => Promise<void>> = {
  tcp: (port, name, random) => expectEcho(port, Buffer.from(`${name} ${random}\n`)),
  tls: (port, name, random) => {
    const extensions = [serverName(hostName(`${name}.test`))];
    const sessionId = Buffer.alloc(32, random * 256);
    return expectEcho(port, records(helloMessage({ extensions, sessionId })));
  },
  http: async (port, name, random) => {
    const agent = random < 0.5 ? keepAlive : undefined;
    const answer = await get(port, '/', { host: `${name}.test`, agent });
    expect(answer).toMatchObject({ status: 200, body: expect.stringMatching(/^hello from pid/) });
  },
};

/** The server sends back what it has read, and closes. */
async function expectEcho(port: number, bytes: Buffer): Promise<void> {
  await using client = await RawClient.connect({ port });
  await client.send(bytes);
  expect((await client.readToEnd()).toString('latin1')).toBe(bytes.toString('latin1'));
}

/** Services of `tcp` have ports of their own, the others share one in each gateway. */
function listenerName(gateway: string, { name, protocol }: { name: string; protocol: Protocol }) {
  return `${protocol === 'tcp' ? name : protocol}-${gateway}`;
}

function makeConfig() {
  const listeners: Record<string, object> = {};
  const services: Record<string, object> = {};
  for (const service of SERVICES) {
    const { name, protocol, server = 'fast-server.pl', idle } = service;
    const by = { tcp: {}, tls: { sni: `${name}.test` }, http: { host: `${name}.test` } }[protocol];
    const names = GATEWAYS.map((gateway) => listenerName(gateway, service));
    for (const listener of names) listeners[listener] = { address: '127.0.0.1:0', protocol };
    const routes = names.map((listener) => ({ listener, ...by }));
    services[name] = serviceOf([server, 3000], { routes, idle });
  }
  const ofGateway = (gateway: string) =>
    Object.keys(listeners).filter((listener) => listener.endsWith(`-${gateway}`));
  const gateways = GATEWAYS.map((name) => [name, { listeners: ofGateway(name) }]);
  return { gateways: Object.fromEntries(gateways), listeners, services };
}

/** Half of the pauses end about when a service goes idle, the others anywhere. */
function pauseMs(random: () => number): number {
  return random() < 0.5 ? 20 + random() * 50 : random() * 400;
}

describe.skipIf(whyNoIsolation !== null)(titled('services that go idle all the time'), () => {
  test('lose no request, whenever and through whichever gateway it comes', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await using running = await RunningRouse.start(makeConfig());
    const stopsOf = (name: string) =>
      running.events.filter(({ service, from }) => service === name && from === 'stopping').length;
    const stops = () => SERVICES.reduce((sum, { name }) => sum + stopsOf(name), 0);
    const freezes = () => running.events.filter(({ to }) => to === 'frozen').length;
    const isWorn = () => stops() >= WANTED_STOPS && freezes() >= WANTED_FREEZES;
    const time = AbortSignal.timeout(DURATION_MS);
    const failures: string[] = [];

    const visitors = SERVICES.flatMap((service, index) =>
      GATEWAYS.map(async (gateway, which) => {
        const { name, protocol } = service;
        const random = seededRandom(SEED + 10 * index + which);
        const port = await running.port(listenerName(gateway, service));
        while (failures.length === 0 && !(time.aborted && isWorn())) {
          await delay(pauseMs(random));
          await VISITS[protocol](port, name, random()).catch((error) =>
            failures.push(`${new Date().toISOString()} ${name} by ${gateway}: ${error.message}`),
          );
        }
      }),
    );
    await Promise.all(visitors);
    keepAlive.destroy();

    expect(failures, JSON.stringify(running.events.slice(-20), null, 1)).toEqual([]);
    for (const { name } of SERVICES) {
      expect(running.changes(name, 'failed')).toEqual([]);
      expect(stopsOf(name), `stops of ${name}`).toBeGreaterThan(0);
    }
  });
});
