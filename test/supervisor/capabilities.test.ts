import { expect, test } from 'vitest';
import { configFromObject } from '../../src/config/load.js';
import type { Service } from '../../src/config/model.js';
import {
  findCapabilities,
  findUnenforceable,
  type Trials,
} from '../../src/supervisor/capabilities.js';
import { findMissingCpus, findUnpinnedGateways } from '../../src/supervisor/cpu-demands.js';
import { reportIsolation } from '../../src/supervisor/isolation-report.js';

const NO_CGROUPS: Trials = {
  whyNoNamespaces: null,
  whyNoFilter: null,
  cgroups: 'cgroup2 is not mounted',
  isRootless: false,
};

function serviceWith(settings: Readonly<Record<string, unknown>>): Service {
  const result = configFromObject(
    {
      services: {
        blog: {
          upstream: 'tcp:80',
          ...settings,
          run: { command: ['x'], ...(settings.run as object) },
        },
      },
    },
    '/',
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config.services[0] as Service;
}

test('a limit that cannot be had is named, with the reason and what would help', () => {
  const service = serviceWith({
    resources: { memory: '1G', cpu: '50%' },
    idle: { freeze: '1s', reclaim: true },
  });
  const sentences = findUnenforceable(service, findCapabilities(NO_CGROUPS));
  expect(sentences.map((sentence) => sentence.slice(0, sentence.indexOf(':', 15)))).toEqual([
    'service blog: resources.memory cannot be enforced here',
    'service blog: resources.cpu cannot be enforced here',
    'service blog: idle.reclaim cannot be enforced here',
  ]);
  expect(sentences[0]).toMatch(/cgroup2 is not mounted; mount cgroup2 .*Delegate=yes/);
});

test('tasks are counted by user where that is the service alone', () => {
  const resources = { tasks: 5 };
  const capabilities = findCapabilities(NO_CGROUPS);
  expect(findUnenforceable(serviceWith({ resources }), capabilities)).toEqual([]);
  expect(
    findUnenforceable(serviceWith({ resources, run: { user: 'www-data' } }), capabilities),
  ).toEqual([
    expect.stringMatching(/resources\.tasks cannot be enforced here: .* leave run\.user out/),
  ]);
  const rootless = findCapabilities({ ...NO_CGROUPS, isRootless: true });
  expect(findUnenforceable(serviceWith({ resources }), rootless)).toHaveLength(1);
});

test('CPUs of its own need a cpuset, or a filter that holds the affinity', () => {
  const service = serviceWith({ cpus: [1] });
  expect(findCapabilities(NO_CGROUPS).cpus.by).toBe('affinity, and a filter on changing it');
  const unfiltered = findCapabilities({ ...NO_CGROUPS, whyNoFilter: 'no seccomp' });
  expect(findUnenforceable(service, unfiltered)).toHaveLength(1);
});

test('CPUs that this machine has not are named, for services and gateways', () => {
  const service = serviceWith({ cpus: [1, 7] });
  const gateways = [
    { name: 'edge', listeners: [], engine: 'native', threads: 1, cpus: [8, 9] },
    { name: 'main', listeners: [], engine: 'native', threads: 1, cpus: [0] },
  ] as const;
  expect(findMissingCpus({ services: [service], gateways }, [0, 1])).toEqual([
    'service blog: cpus: there is no CPU 7 here; there are 0, 1',
    'gateway edge: cpus: there is no CPU 8, 9 here; there are 0, 1',
  ]);
  const unfiltered = findCapabilities({ ...NO_CGROUPS, whyNoFilter: 'no seccomp' });
  expect(findUnpinnedGateways(gateways, unfiltered)[0]).toMatch(
    /^gateway edge: cpus cannot be enforced here: cgroup2 is not mounted; /,
  );
  expect(findUnpinnedGateways(gateways, findCapabilities(NO_CGROUPS))).toEqual([]);
});

test('explain says of each kind what is enforced, by what, and what is not', () => {
  const service = serviceWith({
    resources: { memory: '1G', tasks: 9 },
    cpus: [1],
    isolation: { writable: ['/srv'] },
  });
  const capabilities = findCapabilities(NO_CGROUPS);
  const identity = { uid: 500_000, gid: 1, groups: [], name: 'blog', home: '/', isOwn: false };
  const rows = reportIsolation({ service, capabilities, identity });
  expect([...new Set(rows.map(({ kind }) => kind))]).toEqual([
    ...['namespace', 'address', 'data', 'identity', 'resource', 'fault', 'physical'],
  ]);
  const text = rows.map(({ what, by }) => `${what} (${by})`).join('\n');
  expect(text).toContain('writable /srv (mount namespace)');
  expect(text).toContain('user blog (500000), never root');
  expect(text).toContain('memory 1G: not enforced (cgroup2 is not mounted)');
  expect(text).toContain('tasks 9 (RLIMIT_NPROC of a user of its own)');
  expect(text).toContain('CPU 1 (affinity, and a filter on changing it)');
});

test('explain without namespaces claims nothing that needs them', () => {
  const capabilities = findCapabilities({ ...NO_CGROUPS, whyNoNamespaces: 'bwrap: not permitted' });
  const rows = reportIsolation({ service: serviceWith({}), capabilities, identity: null });
  for (const kind of ['namespace', 'address', 'data']) {
    expect(rows.find((row) => row.kind === kind)).toMatchObject({
      what: 'not enforced',
      by: 'bwrap: not permitted',
    });
  }
});
