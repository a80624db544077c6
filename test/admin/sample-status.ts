import type { Explanation, ServiceStatus, Status } from '../../src/ipc/admin-api.js';

/** A service nobody asked for yet. */
function sampleService(name: string, changes: Partial<ServiceStatus> = {}): ServiceStatus {
  return {
    name,
    state: 'stopped',
    pid: null,
    since: '2026-01-02T03:04:05.000Z',
    connections: 0,
    held: 0,
    requests: { inFlight: 0, total: 0 },
    starts: 0,
    failures: 0,
    coldStart: { lastMs: null, p50Ms: null, p99Ms: null },
    lastWake: null,
    lastExit: null,
    failure: null,
    ...changes,
  };
}

/** One service that runs, one that failed and one that sleeps. */
export function sampleStatus(): Status {
  return {
    services: [
      sampleService('blog', {
        state: 'running',
        pid: 4711,
        connections: 2,
        held: 1,
        requests: { inFlight: 1, total: 42 },
        starts: 3,
        coldStart: { lastMs: 41, p50Ms: 40, p99Ms: 55.25 },
        lastWake: {
          at: '2026-01-02T03:04:05.000Z',
          cause: 'connection on web',
          source: '127.0.0.1:53122',
        },
      }),
      sampleService('mail', {
        state: 'failed',
        starts: 2,
        failures: 2,
        lastExit: { at: '2026-01-02T03:04:05.000Z', code: 1, signal: null },
        failure: {
          reason: 'exit code 1 before it was ready',
          retryAt: '2026-01-02T03:04:20.000Z',
          output: ['loading', 'cannot open \x1b[2Jspool'],
        },
      }),
      sampleService('shop'),
    ],
    listeners: [
      {
        name: 'web',
        addresses: ['127.0.0.1:8080', '[::1]:8080'],
        protocol: 'http',
        gateway: 'main',
        accepted: 45,
        refused: 3,
      },
    ],
    gateways: [
      {
        name: 'main',
        pid: 4700,
        engine: 'node',
        isolation: 'mount, pid, net, ipc, uts',
        restarts: 1,
      },
    ],
    supervisor: { pid: 4690, version: '0.1.0', uptimeMs: 3_723_000 },
  };
}

export function sampleExplanation(): Explanation {
  const [blog] = sampleStatus().services;
  return {
    service: 'blog',
    status: blog as ServiceStatus,
    why: ['It is awake: gateway main holds a lease.'],
    leases: [
      { holder: 'gateway main', since: '2026-01-02T03:04:05.000Z', connections: 2, requests: 1 },
    ],
    isolation: [
      { kind: 'address', what: 'loopback of its own', by: 'net namespace' },
      { kind: 'identity', what: 'user 61184', by: 'no_new_privs' },
    ],
    idle: { freezeAt: null, stopAt: '2026-01-02T03:14:05.000Z' },
    lastOutput: ['listening on 3000'],
    refusals: { backoff: 3 },
  };
}
