import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createRouse } from '../../src/app/library.js';
import type { StateEvent } from '../../src/ipc/admin-api.js';
import { TestProcess } from '../support/run-process.js';
import { waitFor } from '../support/wait-for.js';

const LIBRARY = fileURLToPath(new URL('../../dist/app/library.js', import.meta.url));

const CONFIG = {
  enforce: 'best-effort',
  listeners: { web: { address: '127.0.0.1:0', protocol: 'tcp' } },
  services: {
    cat: {
      routes: [{ listener: 'web' }],
      run: { command: ['sleep', '1000'] },
      upstream: 'socket',
    },
  },
};

test('a rouse tells where it listens and what its services do, and leaves nothing behind', async () => {
  const rouse = await createRouse(CONFIG);
  const directory = dirname(rouse.runtimeDir);
  const { pid } = rouse;
  try {
    expect(await rouse.addresses('web')).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
    await expect(rouse.addresses('none')).rejects.toThrow(/listener none/);
    const events: StateEvent[] = [];
    rouse.on('state', (event) => events.push(event));
    await rouse.wake('cat');
    await waitFor(() => events.find((event) => event.service === 'cat' && event.to === 'starting'));
  } finally {
    await rouse.close();
  }
  expect(existsSync(directory)).toBe(false);
  expect(existsSync(`/proc/${pid}`)).toBe(false);
});

test('a configuration can be put in place of another', async () => {
  await using rouse = await createRouse(CONFIG);
  await rouse.reload({ ...CONFIG, services: {} });
  expect((await rouse.status()).services).toEqual([]);
});

test('a configuration that is wrong is an error that says where', async () => {
  const wrong = { ...CONFIG, listeners: { web: { adress: '127.0.0.1:0', protocol: 'tcp' } } };
  await expect(createRouse(wrong)).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining('listeners.web.adress: unknown key'),
  });
  await expect(createRouse('/nowhere/rouse.yaml')).rejects.toThrow(/no such file/);
});

test('its death is told, with its last words', async () => {
  const rouse = await createRouse(CONFIG, { logLevel: 'debug' });
  const exit = new Promise((resolve) => rouse.once('exit', resolve));
  process.kill(rouse.pid, 'SIGKILL');
  expect(await exit).toMatchObject({ message: expect.stringMatching(/killed by SIGKILL/) });
  await rouse.close();
  await expect(rouse.status()).rejects.toMatchObject({ code: 'not-running' });
});

test('a rouse whose program is killed ends too, and takes its files with it', async () => {
  const script = `
    import { createRouse } from ${JSON.stringify(LIBRARY)};
    const rouse = await createRouse(${JSON.stringify(CONFIG)});
    console.log('started', rouse.pid, rouse.runtimeDir);`;
  const command = [process.execPath, '--input-type=module', '-e', script];
  await using program = new TestProcess(command);
  const [, pid, runtimeDir] = await program.waitForOutput(/started (\d+) (.*)/);
  program.signal('SIGKILL');
  await program.ended;
  await waitFor(() => !existsSync(`/proc/${pid}`), { what: 'the supervisor to end' });
  expect(existsSync(dirname(runtimeDir ?? ''))).toBe(false);
});
