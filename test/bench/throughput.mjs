// Requests and connections a second, and what they cost rouse in CPU time: through rouse and
// directly, in alternating rounds.
import { createRouse } from 'rouse';
import { ECHO, HELLO, THROUGHPUT_CASES } from './cases.mjs';
import { sumCpuTime } from './cpu-time.mjs';
import { FIXTURES, startDirectly } from './direct-server.mjs';
import { load } from './exchange.mjs';
import { summarize } from './statistics.mjs';

const CLIENTS = 16;
const TCP_PORT = 19_001;
const HTTP_PORT = 19_002;

function makeConfig() {
  const run = (command, port) => ({ command: [...command, String(port)], directory: FIXTURES });
  return {
    enforce: 'best-effort',
    log: { level: 'warn', access: false },
    defaults: { idle: 'never' },
    listeners: {
      tcp: { address: '127.0.0.1:0', protocol: 'tcp' },
      http: { address: '127.0.0.1:0', protocol: 'http' },
    },
    services: {
      echo: {
        routes: [{ listener: 'tcp' }],
        run: run(ECHO.command, TCP_PORT),
        upstream: `tcp:${TCP_PORT}`,
      },
      hello: {
        routes: [{ listener: 'http' }],
        run: run(HELLO.command, HTTP_PORT),
        upstream: `tcp:${HTTP_PORT}`,
      },
    },
  };
}

async function portOf(rouse, listener) {
  const [address] = await rouse.addresses(listener);
  return Number(address.split(':').at(-1));
}

const pidsOf = ({ supervisor, gateways }) => [supervisor.pid, ...gateways.map(({ pid }) => pid)];

/** One round; `cpuMicroseconds` of CPU time an answer, of the given processes together. */
async function runRound(target, pids, seconds) {
  const before = sumCpuTime(pids);
  const { count, seconds: tookSeconds } = await load(target, CLIENTS, seconds);
  const cpuMicroseconds = (sumCpuTime(pids) - before) / count;
  return { perSecond: count / tookSeconds, cpuMicroseconds };
}

async function runCase(each, rouse, { rounds, seconds }, report) {
  const pids = pidsOf(await rouse.status());
  const server = await startDirectly([...each.command, '0']);
  const through = { ...each, port: await portOf(rouse, each.listener) };
  const direct = { ...each, port: server.port };
  const results = { rouse: [], direct: [] };
  try {
    // Unmeasured: code that runs for the first time is compiled first.
    for (const target of [direct, through]) await runRound(target, [], seconds);
    for (let round = 1; round <= rounds; round += 1) {
      report(`${each.name}: round ${round} of ${rounds}`);
      results.direct.push(await runRound(direct, [], seconds));
      results.rouse.push(await runRound(through, pids, seconds));
    }
  } finally {
    await server.stop();
  }
  const column = (rows, key) => summarize(rows.map((row) => row[key]));
  return {
    name: each.name,
    clients: CLIENTS,
    directPerSecond: column(results.direct, 'perSecond'),
    rousePerSecond: column(results.rouse, 'perSecond'),
    rouseCpuMicroseconds: column(results.rouse, 'cpuMicroseconds'),
  };
}

/**
 * Runs the cases of the given names.
 * @param options `{ names, rounds, seconds }`
 * @param report is told what is being done
 */
export async function runThroughput(options, report) {
  const cases = THROUGHPUT_CASES.filter(({ name }) => options.names.includes(name));
  if (cases.length === 0) return [];
  const rouse = await createRouse(makeConfig());
  try {
    await rouse.wake('echo');
    await rouse.wake('hello');
    const results = [];
    for (const each of cases) results.push(await runCase(each, rouse, options, report));
    return results;
  } finally {
    await rouse.close();
  }
}
