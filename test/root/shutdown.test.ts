import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RawClient } from '../support/raw-client.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { listenersOf, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';
import { shellService } from './shell-service.js';

const ADDRESS = '127.0.0.1:5432';

/** Answers "awake", and says goodbye to `target` at its end. */
function talker(target: string | null) {
  const reach = target === null ? {} : { reach: { [target]: ADDRESS } };
  return serviceOf(['says-goodbye.pl', 3000, ...(target === null ? [] : [ADDRESS])], reach);
}

async function startAwake(config: object, directory: string, awake: readonly string[]) {
  const rouse = await ServedRouse.start(config, { directory });
  for (const name of awake) await rouse.admin.wake(name, { wait: true });
  return rouse;
}

/** What a service printed at its end. */
function goodbyeOf(service: string, directory: string): string | undefined {
  const log = readFileSync(join(directory, 'state', 'logs', `${service}.log`), 'utf8');
  return /goodbye: (.*)$/m.exec(log)?.[1];
}

async function isRefused(port: number): Promise<boolean> {
  try {
    await using _client = await RawClient.connect({ port });
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
  }
}

async function stop(rouse: ServedRouse): Promise<void> {
  rouse.process.signal('SIGTERM');
  expect((await rouse.process.ended).code).toBe(0);
}

describe.skipIf(whyNoIsolation !== null)(titled('when rouse stops'), () => {
  test('a service still reaches those that it needs until it has ended; who sleeps is woken, and stopped in turn', async () => {
    using directory = makeTemporaryDirectory();
    const services = { disk: talker(null), postgres: talker('disk'), blog: talker('postgres') };
    await using rouse = await startAwake({ services }, directory.path, ['blog']);
    await stop(rouse);
    expect(goodbyeOf('blog', directory.path)).toBe('awake');
    expect(goodbyeOf('postgres', directory.path)).toBe('awake');
  });

  test('services that reach each other in a circle end all the same, and stay ended', async () => {
    using directory = makeTemporaryDirectory();
    const services = { chicken: talker('egg'), egg: talker('chicken') };
    await using rouse = await startAwake({ services }, directory.path, ['chicken', 'egg']);
    await stop(rouse);
    const goodbyes = ['chicken', 'egg'].map((name) => goodbyeOf(name, directory.path));
    expect(goodbyes.filter((goodbye) => goodbye === 'awake')).toHaveLength(1);
    expect(rouse.process.output.match(/"event":"ready"/g)).toHaveLength(2);
  });

  test('a process on a connection goes on until the client has what it asked for', async () => {
    using directory = makeTemporaryDirectory();
    const config = {
      listeners: listenersOf({ shell: 'tcp' }),
      services: { disk: talker(null), shell: shellService('shell', { reach: { disk: ADDRESS } }) },
    };
    await using rouse = await ServedRouse.start(config, { directory: directory.path });
    const port = await rouse.port('shell');
    await using client = await RawClient.connect({ port });
    await client.send('echo begun; read -r line; eval "$line"\n');
    await client.readText('begun');
    rouse.process.signal('SIGTERM');
    await rouse.process.waitForOutput(/stopping: connections are drained/);
    await waitFor(() => isRefused(port));
    await client.send(
      `perl -MIO::Socket::INET -e 'print readline(IO::Socket::INET->new("${ADDRESS}"))'\n`,
    );
    expect((await client.readToEnd()).toString()).toBe('begun\nawake');
    expect((await rouse.process.ended).code).toBe(0);
  });

  test('connections that do not end are waited for as long as drain_timeout says', async () => {
    using directory = makeTemporaryDirectory();
    const config = {
      drain_timeout: '100ms',
      listeners: listenersOf({ echo: 'tcp' }),
      services: { echo: serviceOf(['echo-server.js', 3000], { routes: [{ listener: 'echo' }] }) },
    };
    await using rouse = await ServedRouse.start(config, { directory: directory.path });
    await using client = await RawClient.connect({ port: await rouse.port('echo') });
    await client.send('hello\n');
    await client.readText('hello');
    await stop(rouse);
    await client.readToEnd();
  });
});
