import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRunning, listDescendants } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import { listenersOf, RunningRouse, serviceOf, titled, whyNoIsolation } from './root-support.js';

const stdio = (listener: string, command: readonly string[], settings = {}) => ({
  routes: [{ listener }],
  run: { command },
  upstream: 'stdio',
  ...settings,
});

const CONFIG = {
  listeners: {
    ...listenersOf({ lines: 'tcp', both: 'tcp', few: 'tcp', stays: 'tcp' }),
    env: { address: ['127.0.0.1:0', '[::1]:0'], protocol: 'tcp' },
  },
  services: {
    lines: serviceOf(['cat-lines.sh'], {
      routes: [{ listener: 'lines' }],
      upstream: 'stdio',
      idle: { stop: '200ms' },
    }),
    env: serviceOf(['prints-environment.sh'], { routes: [{ listener: 'env' }], upstream: 'stdio' }),
    both: stdio('both', ['sh', '-c', 'echo to the client; echo to the log >&2; exit 4']),
    few: serviceOf(['cat-lines.sh'], {
      routes: [{ listener: 'few' }],
      upstream: 'stdio',
      limits: { connections: 2 },
    }),
    stays: stdio('stays', ['sh', '-c', 'echo here; exec sleep 1000'], { idle: { stop: '50ms' } }),
  },
};

describe.skipIf(whyNoIsolation !== null)(titled('stdio: a process a connection'), () => {
  let running: RunningRouse;
  beforeAll(async () => {
    running = await RunningRouse.start(CONFIG);
  });
  afterAll(() => running?.rouse.close());

  const connect = async (listener: string) =>
    RawClient.connect({ port: await running.port(listener) });

  test('talks to its client until one of them ends', async () => {
    await using client = await connect('lines');
    await client.send('one\ntwo\n');
    await client.readText('2 two');
    client.end();
    expect((await client.readToEnd()).toString()).toBe('1 one\n2 two\nend of file after 2 lines\n');
  });

  test('many at once have a process each, and the service sleeps when the last has ended', async () => {
    const clients = await Promise.all(Array.from({ length: 40 }, () => connect('lines')));
    await Promise.all(clients.map((client, index) => client.send(`client ${index}\n`)));
    await Promise.all(clients.map((client, index) => client.readText(`1 client ${index}\n`)));
    expect(await running.service('lines')).toMatchObject({ state: 'running', connections: 40 });
    const processes = listDescendants(running.rouse.pid).filter(
      ({ name }) => name === 'cat-lines.sh',
    );
    expect(processes).toHaveLength(40);
    for (const client of clients) client.end();
    await Promise.all(clients.map((client) => client.readText('end of file after 1 lines')));
    await running.untilState('lines', 'stopped');
    expect(processes.filter(isRunning)).toEqual([]);
    for (const { socket } of clients) socket.destroy();
  });

  test('a process that fails is no failure of the service: the next client gets one of its own', async () => {
    for (let round = 0; round < 5; round += 1) {
      await using client = await connect('both');
      expect((await client.readToEnd()).toString()).toBe('to the client\n');
    }
    expect(await running.service('both')).toMatchObject({ failures: 0, failure: null, starts: 1 });
    expect(running.changes('both', 'failed')).toEqual([]);
  });

  test('the environment tells who is connected to what', async () => {
    const [four = '', six = ''] = await running.rouse.addresses('env');
    const portOf = (address: string) => address.slice(address.lastIndexOf(':') + 1);
    await using client = await RawClient.connect({ port: Number(portOf(four)) });
    const environment = (await client.readToEnd()).toString().split('\n');
    const from = client.socket.localPort;
    expect(environment).toEqual(
      expect.arrayContaining([
        'PROTO=TCP',
        'REMOTE_ADDR=127.0.0.1',
        `REMOTE_PORT=${from}`,
        'TCPREMOTEIP=127.0.0.1',
        `TCPREMOTEPORT=${from}`,
        'TCPLOCALIP=127.0.0.1',
        `TCPLOCALPORT=${portOf(four)}`,
      ]),
    );
    expect(environment.join('\n')).not.toMatch(/ROUSE|LISTEN_FDS|NOTIFY_SOCKET/);
    await using other = await RawClient.connect({ host: '::1', port: Number(portOf(six)) });
    expect((await other.readToEnd()).toString()).toContain('REMOTE_ADDR=::1\n');
  });

  test('standard error goes to the log of the service, not to the client', async () => {
    await using client = await connect('both');
    expect((await client.readToEnd()).toString()).toBe('to the client\n');
    await waitFor(
      async () => (await running.rouse.explain('both')).lastOutput.includes('to the log'),
      { what: 'its standard error in the log' },
    );
  });

  test('more than limits.connections are closed, and the others go on', async () => {
    await using first = await connect('few');
    await using second = await connect('few');
    await Promise.all([first, second].map((client) => client.send('hello\n')));
    await Promise.all([first, second].map((client) => client.readText('1 hello')));
    await using third = await connect('few');
    expect((await third.readToEnd()).toString()).toBe('');
    await first.send('again\n');
    await first.readText('2 again');
  });

  test('sleep refuses while a connection is open, and with force ends its process', async () => {
    await using client = await connect('stays');
    await client.readText('here');
    await waitFor(async () => (await running.service('stays')).held === 0);
    await expect(running.rouse.sleep('stays')).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringContaining('1 connection is open'),
    });
    expect(await running.rouse.sleep('stays', { force: true })).toMatchObject({ state: 'stopped' });
    expect((await client.readToEnd()).toString()).toBe('here\n');
  });
});
