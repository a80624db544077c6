// What rouse adds to a cold start: the time to the first byte of a service that wasn't running, less
// the time that the same program needs to listen when it is started directly.

import net from 'node:net';
import { createRouse } from 'rouse';
import { COLD_START_CASES } from './cases.mjs';
import { FIXTURES, startDirectly } from './direct-server.mjs';
import { summarize } from './statistics.mjs';

const SERVICE_PORT = 19_003;
const STARTS_A_ROUND = 10;
const REQUEST = 'GET / HTTP/1.0\r\n\r\n';

function makeConfig(command) {
  return {
    enforce: 'best-effort',
    log: { level: 'warn', access: false },
    listeners: { tcp: { address: '127.0.0.1:0', protocol: 'tcp' } },
    services: {
      cold: {
        routes: [{ listener: 'tcp' }],
        run: { command: [...command, String(SERVICE_PORT)], directory: FIXTURES },
        upstream: `tcp:${SERVICE_PORT}`,
        idle: 'never',
      },
    },
  };
}

/** From just before connecting to the first byte of the answer, in milliseconds. */
function measureFirstByte(port) {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('the connection ended without an answer')));
    socket.once('data', () => {
      resolve(performance.now() - startedMs);
      socket.destroy();
    });
    socket.write(REQUEST);
  });
}

async function measureListening(command) {
  const server = await startDirectly([...command, '0']);
  await server.stop();
  return server.listenMs;
}

async function runCase({ name, command }, { rounds }, report) {
  const rouse = await createRouse(makeConfig(command));
  const through = [];
  const alone = [];
  try {
    const [address] = await rouse.addresses('tcp');
    const port = Number(address.split(':').at(-1));
    for (let round = 1; round <= rounds; round += 1) {
      report(`${name}: round ${round} of ${rounds}`);
      for (let start = 0; start < STARTS_A_ROUND; start += 1) {
        alone.push(await measureListening(command));
        through.push(await measureFirstByte(port));
        await rouse.sleep('cold', { force: true });
      }
    }
  } finally {
    await rouse.close();
  }
  const firstByteMs = summarize(through);
  const listenMs = summarize(alone);
  const overheadMs = firstByteMs.median - listenMs.median;
  return { name, starts: through.length, listenMs, firstByteMs, overheadMs };
}

/**
 * Runs the cases of the given names.
 * @param options `{ names, rounds }`
 * @param report is told what is being done
 */
export async function runColdStart(options, report) {
  const results = [];
  for (const each of COLD_START_CASES) {
    if (options.names.includes(each.name)) results.push(await runCase(each, options, report));
  }
  return results;
}
