import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listenersOf, RunningRouse, serviceOf } from '../../root/root-support.js';
import { RawClient } from '../../support/raw-client.js';
import { waitFor } from '../../support/wait-for.js';

const MEGABYTE = 1024 * 1024;
/** Something that nobody has read yet: it is in no page cache. */
const UNREAD_FILE = `${process.env.MODULES}/modules.symbols.bin`;

const SETTINGS: Record<string, object> = {
  bystander: {},
  memory: { resources: { memory: '32M' } },
  cpu: { resources: { cpu: '50%' } },
  tasks: { resources: { tasks: 10 }, idle: { freeze: '1h' } },
  live: {},
  cold: { idle: { freeze: '1h', reclaim: true } },
};

/** The tester on port 3000 of each service, reached by everything on a listener of its name. */
const CONFIG = {
  listeners: listenersOf(Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, 'tcp']))),
  services: Object.fromEntries(
    Object.entries(SETTINGS).map(([name, settings]) => [
      name,
      serviceOf(['limits-tester.pl', 3000], { routes: [{ listener: name }], ...settings }),
    ]),
  ),
};

let running: RunningRouse;
beforeAll(async () => {
  running = await RunningRouse.start(CONFIG);
});
afterAll(() => running?.rouse.close());

async function connect(name: string): Promise<RawClient> {
  return RawClient.connect({ port: await running.port(name) });
}

/** What the tester answers. */
async function ask(client: RawClient, command: string): Promise<string> {
  const before = client.received.length;
  await client.send(`${command}\n`);
  const received = await client.readUntil((bytes) => bytes.includes('\n', before));
  return received.subarray(before).toString().trim();
}

/** A file of the cgroup of a service's processes and their holder. */
async function fileOf(name: string, file: string): Promise<string> {
  const { pid } = await running.service(name);
  const [, path = ''] = /^0::(.*)\/run$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? [];
  return readFileSync(join('/sys/fs/cgroup', path, file), 'utf8').trim();
}

const bytesOf = async (name: string) => Number(await fileOf(name, 'memory.current'));

describe('a machine with every controller', () => {
  test('has nothing that rouse asks for and cannot enforce', async () => {
    const rows = (await running.rouse.explain('memory')).isolation;
    expect(rows.filter(({ what }) => what.includes('not enforced'))).toEqual([]);
    expect(rows).toContainEqual({
      kind: 'resource',
      what: 'memory 32M',
      by: 'memory.max of its cgroup',
    });
    expect(await running.rouse.status()).not.toHaveProperty('unenforced');
  });
});

describe('memory', () => {
  test('a service that wants more than it may have is killed, by name, and starts again; others notice nothing', async () => {
    await using other = await connect('bystander');
    expect(await ask(other, 'take 1')).toBe('1 M');
    await using greedy = await connect('memory');
    expect(await ask(greedy, 'take 10')).toBe('10 M');
    await greedy.send('take 100\n');
    expect((await greedy.readToEnd()).toString()).toBe('10 M\n');
    await running.untilState('memory', 'failed');
    const said = running.log.filter((line) => line.includes('"service":"memory"')).join('\n');
    expect(said).toMatch(/out of memory: the kernel killed a process of it \(resources\.memory\)/);
    expect(said).toMatch(/ended by SIGKILL: out of memory/);
    await using again = await connect('memory');
    expect(await ask(again, 'take 10')).toBe('10 M');
    expect(await ask(other, 'take 1')).toBe('2 M');
    expect(running.changes('bystander', 'failed')).toEqual([]);
  });

  test('without a limit it takes as much', async () => {
    await using client = await connect('bystander');
    expect(await ask(client, 'drop')).toBe('dropped');
    expect(await ask(client, 'take 100')).toBe('100 M');
    expect(await ask(client, 'drop')).toBe('dropped');
  });

  test('a limit set while it runs holds at once, and is gone at once', async () => {
    await using client = await connect('live');
    expect(await ask(client, 'take 50')).toBe('50 M');
    await running.rouse.set('live', { memory: '200M' });
    expect(await fileOf('live', 'memory.max')).toBe(String(200 * MEGABYTE));
    expect(await ask(client, 'take 10')).toBe('60 M');
    await running.rouse.set('live', { memory: 'none' });
    expect(await fileOf('live', 'memory.max')).toBe('max');
    await running.rouse.set('live', { memory: '16M' });
    await client.readToEnd();
    await running.untilState('live', 'failed');
    expect(running.log.join('\n')).toMatch(/"service":"live".*out of memory/);
    expect((await running.service('live')).lastExit).toMatchObject({ signal: 'SIGKILL' });
  });
});

describe('reclaim', () => {
  test('a frozen service’s memory goes out to swap and files, and comes back when it is used', async () => {
    await using client = await connect('cold');
    expect(await ask(client, 'take 40')).toBe('40 M');
    if (existsSync(UNREAD_FILE)) await ask(client, `cache ${UNREAD_FILE}`);
    client.socket.destroy();
    await waitFor(async () => (await running.rouse.explain('cold')).leases.length === 0);
    const before = await bytesOf('cold');
    expect(before).toBeGreaterThan(40 * MEGABYTE);
    await running.rouse.freeze('cold');
    await waitFor(async () => (await bytesOf('cold')) < before / 4, { what: 'memory to fall' });
    expect(Number(await fileOf('cold', 'memory.swap.current'))).toBeGreaterThan(30 * MEGABYTE);
    await using again = await connect('cold');
    expect(await ask(again, 'take 1')).toBe('41 M');
    expect((await running.service('cold')).starts).toBe(1);
  });
});

describe('tasks', () => {
  test('a fork bomb ends at the limit, which can be changed while it runs', async () => {
    await using client = await connect('tasks');
    expect(await ask(client, 'fork 30')).toMatch(/^[89]: Resource temporarily unavailable/);
    expect(Number(/^max (\d+)$/m.exec(await fileOf('tasks', 'pids.events'))?.[1])).toBeGreaterThan(
      0,
    );
    await running.rouse.set('tasks', { tasks: '20' });
    expect(await ask(client, 'fork 30')).toMatch(/^1\d: Resource temporarily unavailable/);
    await running.rouse.set('tasks', { tasks: 'none' });
    expect(await ask(client, 'fork 30')).toBe('30');
    await using other = await connect('bystander');
    expect(await ask(other, 'fork 30')).toBe('30');
  });
});

/** What a service got while it wanted a whole CPU: its share of one, and how often it had to wait for the next period. */
async function wantCpu(name: string): Promise<{ share: number; throttled: number }> {
  const read = async () => {
    const text = await fileOf(name, 'cpu.stat');
    const count = (key: string) => Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1]);
    return { usageUs: count('usage_usec'), throttled: count('nr_throttled') };
  };
  await using client = await connect(name);
  await ask(client, 'take 0');
  const [before, beforeMs] = [await read(), performance.now()];
  await ask(client, 'spin 2000');
  const after = await read();
  return {
    share: (after.usageUs - before.usageUs) / 1000 / (performance.now() - beforeMs),
    throttled: after.throttled - before.throttled,
  };
}

describe('cpu', () => {
  test('a service gets half of a CPU and no more, until the limit is changed', async () => {
    const half = await wantCpu('cpu');
    expect(half.share).toBeLessThan(0.6);
    expect(half.throttled).toBeGreaterThan(0);
    await running.rouse.set('cpu', { cpu: '20%' });
    expect((await wantCpu('cpu')).share).toBeLessThan(0.3);
    await running.rouse.set('cpu', { cpu: 'none' });
    expect((await wantCpu('cpu')).throttled).toBe(0);
  });
});
