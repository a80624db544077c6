import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import { AttackLab } from './attack-lab.js';
import {
  helloService,
  listenersOf,
  RunningRouse,
  serviceOf,
  titled,
  whyNoIsolation,
} from './root-support.js';

const both = (value: number) => ({ soft: value, hard: value });
const MEGABYTE = 1024 * 1024;

/** A service that runs one attack for each connection: what the client gets is what the attack says. */
function attacker(
  attack: readonly (string | number)[],
  settings: Readonly<Record<string, unknown>>,
) {
  return serviceOf(['attacker.pl', ...attack], {
    routes: [{ listener: 'attack' }],
    upstream: 'stdio',
    ...settings,
  });
}

/** What the attack says as a service of a rouse, with another service beside it that must go on. */
async function attackInRouse(
  attack: readonly (string | number)[],
  settings: Readonly<Record<string, unknown>>,
): Promise<string> {
  await using running = await RunningRouse.start({
    listeners: listenersOf({ web: 'http', attack: 'tcp' }),
    services: { hello: helloService('web'), attacker: attacker(attack, settings) },
  });
  const web = await running.port('web');
  expect((await get(web, '/before')).status).toBe(200);
  await using client = await RawClient.connect({ port: await running.port('attack') });
  const during = get(web, '/during');
  await client.readToEnd();
  expect((await during).status).toBe(200);
  expect((await get(web, '/after')).status).toBe(200);
  return client.received.toString().trim();
}

describe.skipIf(whyNoIsolation !== null)(titled('a service that wants all that there is'), () => {
  let lab: AttackLab;
  beforeAll(() => {
    lab = new AttackLab();
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test('forks no further than its tasks', async () => {
    const limited = await attackInRouse(['fork-bomb', 200], { resources: { tasks: 40 } });
    expect(limited).toMatch(/^refused after [123]?\d: Resource temporarily unavailable/);
    const vps = await lab.serviceVps();
    expect(await lab.attack(vps, ['fork-bomb', 200])).toBe('done made 200');
    expect(await lab.attack(vps, ['fork-bomb', 200], { rlimits: { nproc: both(40) } })).toMatch(
      /^refused after/,
    );
  });

  test.each(['/tmp', '/var/tmp', '/run', '/dev/shm'])(
    'fills %s no further than its size',
    async (folder) => {
      const limited = await lab.serviceVps({ tmpBytes: 4 * MEGABYTE });
      const unlimited = await lab.serviceVps();
      const attack = ['fill-file', `${folder}/big`, 12];
      expect(await lab.attack(limited, attack)).toMatch(/^refused after [1-4] M: No space left/);
      expect(await lab.attack(unlimited, attack)).toBe('done wrote 12 M');
    },
  );

  test('a full /tmp of a service is its own', async () => {
    const said = await attackInRouse(['fill-file', '/tmp/big', 12], { resources: { tmp: '4M' } });
    expect(said).toMatch(/^refused after [1-4] M: No space left/);
  });

  test('opens no more files than it may', async () => {
    const limited = await attackInRouse(['open-many', 200], { resources: { descriptors: 64 } });
    expect(limited).toMatch(/^refused after [56]\d: Too many open files/);
    expect(await lab.attack(await lab.serviceVps(), ['open-many', 200])).toBe('done opened 200');
  });

  test('takes no more memory than its limit, or the limit is refused by name', async () => {
    const resources = { memory: '64M' };
    const attack = ['fill-memory', 256];
    let said: string;
    try {
      said = await attackInRouse(attack, { resources });
    } catch (error) {
      expect(String(error)).toMatch(
        /service attacker: resources\.memory cannot be enforced here: .* has no memory/,
      );
      return;
    }
    expect(said).not.toContain('done');
    expect(await lab.attack(await lab.serviceVps(), attack)).toBe('done took 256 M');
  });

  test('floods its output and its notify socket, and the others notice nothing', async () => {
    await using running = await RunningRouse.start({
      listeners: listenersOf({ web: 'http' }),
      services: {
        hello: helloService('web'),
        flood: serviceOf(['attacker.pl', 'flood'], {
          upstream: 'tcp:3000',
          ready: 'notify',
          start_timeout: '2s',
        }),
      },
    });
    const web = await running.port('web');
    const flooding = running.rouse.wake('flood').catch((error: unknown) => String(error));
    for (let request = 0; request < 20; request += 1) {
      expect((await get(web, '/')).status).toBe(200);
    }
    expect((await running.service('hello')).requests.total).toBe(20);
    expect(await flooding).toMatch(/not ready within 2 s/);
    expect((await get(web, '/after')).status).toBe(200);
  });
});
