// Loads services that rouse starts when their first request comes, and reports what the cold starts
// cost, how many requests a second came through, and what failed. See README.md.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { createRouse } from 'rouse';
import { percentile } from './percentile.mjs';

const DIRECTORY = fileURLToPath(new URL('.', import.meta.url));
const FIRST_PORT = 20_001;

const hostOf = (name) => `${name}.example`;

/** One http listener on a port of the kernel's choice, and a service for each name by its Host. */
function makeConfig(names) {
  const services = names.map((name, index) => {
    // Ports of their own, so that it works without namespaces too.
    const port = FIRST_PORT + index;
    const run = {
      command: ['node', 'service.mjs'],
      directory: DIRECTORY,
      environment: { PORT: String(port) },
    };
    return [name, { routes: [{ host: hostOf(name) }], run, upstream: `tcp:${port}` }];
  });
  return {
    enforce: 'best-effort',
    log: { level: 'warn', access: false },
    listeners: { web: { address: '127.0.0.1:0', protocol: 'http' } },
    services: Object.fromEntries(services),
  };
}

/** Loads one service; its first answer came from a process that didn't exist when it was asked for. */
async function loadService(url, name, { seconds, connections }) {
  const load = autocannon({
    url,
    connections,
    duration: seconds,
    headers: { host: hostOf(name) },
    timeout: 30,
  });
  let firstAnswerMs = null;
  load.on('response', (_client, _status, _bytes, responseMs) => {
    firstAnswerMs ??= responseMs;
  });
  const [result] = await once(load, 'done');
  return { name, firstAnswerMs, result };
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const round = (value) => (value === null ? null : Math.round(value * 100) / 100);

function summarize(samples) {
  return {
    samples: samples.length,
    p50Ms: round(percentile(samples, 50)),
    p90Ms: round(percentile(samples, 90)),
    p99Ms: round(percentile(samples, 99)),
    maxMs: round(percentile(samples, 100)),
  };
}

function makeReport(loads, status, settings) {
  const perService = loads.map(({ name, firstAnswerMs, result }) => {
    const service = status.services.find((candidate) => candidate.name === name);
    return {
      name,
      starts: service.starts,
      coldStartMs: round(service.coldStart.lastMs),
      firstAnswerMs: round(firstAnswerMs),
      requests: result['2xx'],
      perSecond: round(result.requests.average),
      latencyP50Ms: result.latency.p50,
      latencyP99Ms: result.latency.p99,
      errors: { connection: result.errors, timeouts: result.timeouts, non2xx: result.non2xx },
    };
  });
  const defined = (values) => values.filter((value) => value !== null);
  return {
    settings,
    coldStart: summarize(defined(perService.map(({ coldStartMs }) => coldStartMs))),
    firstAnswer: summarize(defined(perService.map(({ firstAnswerMs }) => firstAnswerMs))),
    requests: {
      total: sum(perService.map(({ requests }) => requests)),
      perSecond: round(sum(perService.map(({ perSecond }) => perSecond))),
    },
    errors: {
      connection: sum(perService.map(({ errors }) => errors.connection)),
      timeouts: sum(perService.map(({ errors }) => errors.timeouts)),
      non2xx: sum(perService.map(({ errors }) => errors.non2xx)),
    },
    services: perService,
  };
}

/**
 * Starts rouse, loads all services at once, ends rouse.
 * @param settings `{ services, connections, seconds }`: how many, connections for each, how long
 * @returns the report; durations in milliseconds
 */
export async function runLoadTest(settings) {
  const names = Array.from({ length: settings.services }, (_, index) => `service${index + 1}`);
  const rouse = await createRouse(makeConfig(names));
  try {
    const [address] = await rouse.addresses('web');
    const url = `http://${address}/`;
    const loads = await Promise.all(names.map((name) => loadService(url, name, settings)));
    return makeReport(loads, await rouse.status(), settings);
  } finally {
    await rouse.close();
  }
}
