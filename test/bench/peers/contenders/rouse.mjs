import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AdminClient } from '../../../../dist/admin/client.js';
import { startProgram } from '../processes.mjs';
import { makeDirectory } from './place.mjs';

const MAIN = fileURLToPath(new URL('../../../../dist/app/main.js', import.meta.url));
const SERVICE_PORT = 3000;
const POLL_MS = 5;

const nameService = (index) => `service${index}`;

/** Services whose processes only keep their VPSs in being: the backend listens in there. */
function makeServices({ protocol, hosts = [''] }) {
  const makeService = (host) => ({
    routes: [{ listener: 'in', ...(protocol === 'http' && { host }) }],
    run: { command: ['sleep', 'infinity'] },
    upstream: `tcp:${SERVICE_PORT}`,
    idle: 'never',
  });
  return Object.fromEntries(hosts.map((host, index) => [nameService(index), makeService(host)]));
}

const makeConfig = (row, engine) => ({
  log: { access: false },
  gateways: { main: { listeners: ['in'], engine, threads: 1 } },
  listeners: { in: { address: '127.0.0.1:0', protocol: row.protocol } },
  services: makeServices(row),
});

async function readPid(admin, name) {
  for (;;) {
    const { services } = await admin.status();
    const { pid } = services.find((service) => service.name === name);
    if (pid !== null) return pid;
    await delay(POLL_MS);
  }
}

/** Starts a service, and the backend in its network, which makes it ready. */
async function wake(admin, row, index, backend) {
  const name = nameService(index);
  await admin.wake(name, { wait: false });
  await backend.listen(row.backend, index, SERVICE_PORT, await readPid(admin, name));
  await admin.wake(name, { wait: true });
}

const makeRouse = (engine) => ({
  name: `rouse ${engine}`,
  packages: ['bubblewrap'],
  program: 'bwrap',
  async start(row, backend) {
    const directory = makeDirectory();
    const file = directory.write('rouse.yaml', JSON.stringify(makeConfig(row, engine)));
    const runtimeDir = join(directory.path, 'run');
    const places = ['--runtime-dir', runtimeDir, '--state-dir', join(directory.path, 'state')];
    const flags = ['-c', file, ...places, '--log-format', 'json'];
    const program = startProgram([process.execPath, MAIN, 'serve', ...flags]);
    await program.waitForOutput(/"event":"started"/);
    const admin = new AdminClient(join(runtimeDir, 'admin.sock'));
    for (const index of (row.hosts ?? ['']).keys()) await wake(admin, row, index, backend);
    const { listeners, gateways, supervisor } = await admin.status();
    return {
      port: Number(listeners[0].addresses[0].split(':').at(-1)),
      // What the supervisor does for a connection is part of its price.
      listPids: () => [supervisor.pid, ...gateways.map(({ pid }) => pid)],
      stop: () => program.stop().then(directory.remove),
    };
  },
});

export const rouseNative = makeRouse('native');
export const rouseNode = makeRouse('node');
