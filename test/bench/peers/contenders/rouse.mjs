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

/** The rows' words for what a service is to rouse. */
const LISTENER_PROTOCOL = { stdio: 'tcp', socket: 'tcp' };
const ROUTE_KEY = { http: 'host', tls: 'sni' };

const makeRoutes = ({ protocol }, names) =>
  names.map((name) => ({
    listener: 'in',
    ...(ROUTE_KEY[protocol] !== undefined && { [ROUTE_KEY[protocol]]: name }),
  }));

/** A program of its own, or one that only keeps the VPS in being: the backend listens in there. */
function makeService(row, names) {
  const { protocol, service: command = ['sleep', 'infinity'] } = row;
  const upstream = row.service === undefined ? `tcp:${SERVICE_PORT}` : protocol;
  return { routes: makeRoutes(row, names), run: { command }, upstream, idle: 'never' };
}

/** Service N has the names N, N + services, N + 2 × services and so on. */
const namesOf = ({ hosts = [''], services = hosts.length }, index) =>
  hosts.filter((_, number) => number % services === index);

const countServices = ({ hosts = [''], services = hosts.length }) => services;

function makeConfig(row, engine) {
  const protocol = LISTENER_PROTOCOL[row.protocol] ?? row.protocol;
  const services = Array.from({ length: countServices(row) }, (_, index) => [
    nameService(index),
    makeService(row, namesOf(row, index)),
  ]);
  return {
    log: { access: false },
    gateways: { main: { listeners: ['in'], engine, threads: 1 } },
    listeners: { in: { address: '127.0.0.1:0', protocol } },
    services: Object.fromEntries(services),
  };
}

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

async function wakeAll(admin, row, backend) {
  for (let index = 0; index < countServices(row); index += 1) {
    await wake(admin, row, index, backend);
  }
}

async function startServing(config) {
  const directory = makeDirectory();
  const file = directory.write('rouse.yaml', JSON.stringify(config));
  const runtimeDir = join(directory.path, 'run');
  const places = ['--runtime-dir', runtimeDir, '--state-dir', join(directory.path, 'state')];
  const flags = ['-c', file, ...places, '--log-format', 'json'];
  const program = startProgram([process.execPath, MAIN, 'serve', ...flags]);
  await program.waitForOutput(/"event":"started"/);
  const stop = () => program.stop().then(directory.remove);
  return { admin: new AdminClient(join(runtimeDir, 'admin.sock')), stop };
}

/** rouse as a contender; `change` makes a row its own. */
export const makeRouse = (name, engine, change = (row) => row) => ({
  name,
  packages: ['bubblewrap'],
  program: 'bwrap',
  async start(asked, backend) {
    const row = change(asked);
    const { admin, stop } = await startServing(makeConfig(row, engine));
    if (row.service === undefined) await wakeAll(admin, row, backend);
    const { listeners, gateways, supervisor } = await admin.status();
    return {
      port: Number(listeners[0].addresses[0].split(':').at(-1)),
      // What the supervisor does for a connection is part of its price.
      listPids: () => [supervisor.pid, ...gateways.map(({ pid }) => pid)],
      /** Back to where nothing of the service runs. */
      rest: () => admin.sleep(nameService(0), { force: true }),
      load: row.load,
      stop,
    };
  },
});
