import { readdirSync, readlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Load } from '../support/load.js';
import { listDescendants } from '../support/processes.js';
import { helloService, listenersOf, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse } from './served-rouse.js';

const CONFIG = {
  listeners: listenersOf({ web: 'http', db: 'tcp', cat: 'tcp' }),
  services: {
    hello: helloService('web'),
    echo: serviceOf(['echo-server.js', 3000], { routes: [{ listener: 'db' }] }),
    cat: serviceOf(['cat-lines.sh'], { routes: [{ listener: 'cat' }], upstream: 'stdio' }),
  },
};

async function startLoad(rouse: ServedRouse): Promise<Load> {
  const [web, db, cat] = [await rouse.port('web'), await rouse.port('db'), await rouse.port('cat')];
  return Load.start([
    `http-keep:${web}:2`,
    `http-each:${web}:2`,
    `tcp-each:${db}:2`,
    `tcp-long:${db}:1`,
    `stdio:${cat}:1`,
  ]);
}

/** What a process has open, by kind: sockets and pipes differ in their numbers only. */
function listDescriptors(pid: number): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const kind = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\[?\d+\]?$/, '');
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    } catch {
      // It was closed meanwhile.
    }
  }
  return kinds;
}

/** Processes of a rouse by name, without those that serve a connection. */
function countProcesses(rouse: ServedRouse): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name } of listDescendants(rouse.pid)) {
    if (name !== 'cat-lines.sh') counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

describe.skipIf(whyNoIsolation !== null)(titled('an upgrade in place'), () => {
  test('ten of them under load: no connection is refused or broken, services and counters go on, nothing is left', async () => {
    await using rouse = await ServedRouse.start(CONFIG);
    // Once, so that all is there that comes with the first.
    expect(await rouse.command('upgrade')).toMatchObject({ code: 0 });
    await using load = await startLoad(rouse);
    await load.more(20);
    const before = await rouse.status();
    const processes = countProcesses(rouse);
    for (let upgrade = 1; upgrade <= 10; upgrade += 1) {
      const end = await rouse.command('upgrade');
      expect(end).toMatchObject({ code: 0, stderr: '' });
      expect(end.stdout).toMatch(/^upgraded to \d.*, in .* s\nnothing changed\n$/);
      await load.more(5);
    }
    // The long connection is the first gateway's still.
    const untilOnly = (wanted: Record<string, number>) =>
      expect.poll(() => countProcesses(rouse), { timeout: 60_000 }).toEqual(wanted);
    const { bwrap = 0, cat = 0, node = 0 } = processes;
    await untilOnly({ bwrap: bwrap + 2, cat: cat + 1, node: node + 1 });
    const report = await load.stop();
    expect(report).toMatchObject({ faults: { refused: 0, broken: 0, wrong: 0, late: 0 } });
    const after = await rouse.status();
    expect(after.supervisor.pid).toBe(before.supervisor.pid);
    for (const [index, service] of before.services.entries()) {
      const { pid, since, starts, coldStart, lastWake } = service;
      expect(after.services[index]).toMatchObject({ pid, since, starts, coldStart, lastWake });
    }
    const requests = (report.counts['http-keep'] ?? 0) + (report.counts['http-each'] ?? 0);
    expect(after.services[0]?.requests.total).toBe(requests);
    expect(after.gateways[0]?.restarts).toBe(0);
    await untilOnly(processes);
    expect(rouse.process.output).not.toMatch(/"level":"(warn|error|fatal)"/);
    const descriptors = listDescriptors(rouse.pid);
    expect(await rouse.command('upgrade')).toMatchObject({ code: 0 });
    await untilOnly(processes);
    expect(listDescriptors(rouse.pid)).toEqual(descriptors);
  }, 300_000);
});
