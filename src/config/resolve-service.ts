import { isLoopback, parseIp } from '../base/ip.js';
import type { LoadContext } from './load-context.js';
import type { Access, Idle, Isolation, Limits, Ready, Run, Service, Upstream } from './model.js';
import type { KeyPath } from './problem.js';
import { resolveAccess } from './resolve-listener.js';
import { resolveRoutes } from './resolve-routes.js';
import type { IdleShape, ServiceShape } from './schema/service.js';

const DEFAULT_STOP_MS = 300_000;
const DEFAULT_QUIET_MS = 3_600_000;

// One object each: what ten thousand services have in common is kept once.
const OPEN: Access = resolveAccess(undefined);
const CONNECT: Ready = { kind: 'connect' };
const NOTIFY: Ready = { kind: 'notify' };
const NONE: Ready = { kind: 'none' };
const NEVER: Idle = {
  ...{ freezeMs: null, stopMs: null, quietMs: DEFAULT_QUIET_MS },
  ...{ reclaim: false, hold: false },
};

/** Fills in a service and reports what in it doesn't go together; null where it can't be used. */
export function resolveService(
  name: string,
  shape: ServiceShape,
  context: LoadContext,
): Service | null {
  const path = ['services', name];
  const { upstream } = shape;
  const run = resolveRun([...path, 'run'], shape.run, context);
  if (upstream === undefined) {
    const message = 'this key is missing; write tcp:PORT, unix:/PATH, socket or stdio';
    context.problem([...path, 'upstream'], message);
  }
  if (run === null || upstream === undefined) return null;
  const { routes, upstreams } = resolveRoutes([...path, 'routes'], shape.routes, upstream, context);
  if (shape.resources.descriptors !== undefined && shape.run.rlimits.nofile !== undefined) {
    const message = 'run.rlimits.nofile says the same: keep one of them';
    context.problem([...path, 'resources', 'descriptors'], message);
  }
  checkReach(name, shape, upstream, context);
  checkEgress(name, shape, context);
  const { access, isolation, resources } = shape;
  return {
    name,
    routes,
    run,
    upstreams,
    reach: shape.reach,
    egress: shape.egress,
    ready: resolveReady([...path, 'ready'], shape.ready, upstream, context),
    startTimeoutMs: shape.start_timeout,
    idle: resolveIdle([...path, 'idle'], shape.idle, context),
    stopSignal: shape.stop_signal,
    stopTimeoutMs: shape.stop_timeout,
    limits: resolveLimits(shape, context),
    access: access === undefined ? OPEN : context.once(access, () => resolveAccess(access)),
    resources: context.once(resources, () => resolveResources(resources)),
    isolation: resolveIsolation([...path, 'isolation'], isolation, context),
    cpus: shape.cpus,
  };
}

function resolveRun(path: KeyPath, run: ServiceShape['run'], context: LoadContext): Run | null {
  if (run.command === undefined) {
    context.problem([...path, 'command'], 'this key is missing; write [PROGRAM, ARGUMENT, …]');
    return null;
  }
  if (run.command[0] === '') context.problem([...path, 'command'], 'the program has no name');
  if (run.user !== undefined && /^(?:root|0+)$/.test(run.user)) {
    context.problem([...path, 'user'], 'a service never runs as root; name another user');
  }
  return {
    command: run.command,
    directory:
      run.directory === undefined ? null : context.absolute([...path, 'directory'], run.directory),
    environment: run.environment,
    environmentFile:
      run.environment_file === undefined
        ? null
        : context.absolute([...path, 'environment_file'], run.environment_file),
    user: run.user ?? null,
    group: run.group ?? null,
    groups: run.groups,
    umask: run.umask,
    nice: run.nice ?? null,
    rlimits: context.once(run.rlimits, () => definedOnly(run.rlimits)),
  };
}

function definedOnly<T>(map: Readonly<Record<string, T | undefined>>): Record<string, T> {
  const entries = Object.entries(map).filter(
    (entry): entry is [string, T] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}

function resolveReady(
  path: KeyPath,
  ready: ServiceShape['ready'],
  upstream: Upstream,
  context: LoadContext,
): Ready {
  const isDialled = upstream.kind === 'tcp' || upstream.kind === 'unix';
  if (typeof ready === 'object') {
    if (!isDialled) {
      const message = `ready by http needs a tcp: or unix: upstream, not ${upstream.kind}`;
      context.problem(path, message);
    }
    return context.once(ready, () => ({ kind: 'http', path: ready.http }));
  }
  if (ready === 'notify') {
    if (upstream.kind === 'stdio') {
      context.problem(path, 'notify is not for stdio: each connection has a process of its own');
    }
    return NOTIFY;
  }
  return isDialled ? CONNECT : NONE;
}

function resolveIdle(path: KeyPath, idle: IdleShape, context: LoadContext): Idle {
  return idle === 'never' ? NEVER : context.once(idle, () => resolveStages(path, idle, context));
}

function resolveStages(
  path: KeyPath,
  idle: Exclude<IdleShape, 'never'>,
  context: LoadContext,
): Idle {
  const { freeze, stop, quiet, reclaim, hold } = idle;
  if (reclaim && freeze === undefined) {
    context.problem([...path, 'reclaim'], 'only a frozen service is reclaimed: set freeze too');
  }
  if (freeze !== undefined && stop !== undefined && freeze >= stop) {
    context.problem([...path, 'freeze'], 'freeze comes before stop: it must be shorter');
  }
  const isEmpty = freeze === undefined && stop === undefined;
  return {
    freezeMs: freeze ?? null,
    stopMs: isEmpty ? DEFAULT_STOP_MS : (stop ?? null),
    quietMs: quiet,
    reclaim,
    hold,
  };
}

function resolveLimits({ limits, start_timeout }: ServiceShape, context: LoadContext): Limits {
  const { connections, held, held_age, per_source, rate } = limits;
  const resolve = (heldAgeMs: number): Limits => ({
    connections,
    held,
    heldAgeMs,
    perSource: per_source ?? null,
    rate: rate ?? null,
  });
  const byAge = context.once(limits, () => new Map<number, Limits>());
  const heldAgeMs = held_age ?? start_timeout;
  const resolved = byAge.get(heldAgeMs) ?? resolve(heldAgeMs);
  byAge.set(heldAgeMs, resolved);
  return resolved;
}

function resolveResources(resources: ServiceShape['resources']): Service['resources'] {
  return {
    memoryBytes: resources.memory ?? null,
    cpuPercent: resources.cpu ?? null,
    tasks: resources.tasks ?? null,
    ioWeight: resources.io ?? null,
    tmpBytes: resources.tmp ?? null,
    descriptors: resources.descriptors ?? null,
  };
}

function resolveIsolation(
  path: KeyPath,
  isolation: ServiceShape['isolation'],
  context: LoadContext,
): Isolation {
  const { writable, readable, hidden } = isolation;
  // Without paths it is the same wherever it stands.
  if (writable.length + readable.length + hidden.length === 0) return isolation;
  const absolute = (key: 'writable' | 'readable' | 'hidden') =>
    isolation[key].map((value, index) => context.absolute([...path, key, index], value));
  return {
    network: isolation.network,
    writable: absolute('writable'),
    readable: absolute('readable'),
    hidden: absolute('hidden'),
    state: isolation.state,
  };
}

function checkEgress(
  name: string,
  { egress, isolation }: ServiceShape,
  context: LoadContext,
): void {
  if (egress.length === 0 || isolation.network === 'private') return;
  const message =
    "has no effect in the host's network; take it out, or set isolation.network: private";
  context.problem(['services', name, 'egress'], message);
}

function checkReach(
  name: string,
  { reach }: ServiceShape,
  upstream: Upstream,
  context: LoadContext,
): void {
  const path = ['services', name, 'reach'];
  const taken = new Map<string, string>();
  if (upstream.kind === 'tcp')
    taken.set(`${upstream.host} ${upstream.port}`, 'the upstream of this service');
  for (const [target, { host, port }] of Object.entries(reach)) {
    const ip = parseIp(host);
    if (ip === null || !isLoopback(ip)) {
      context.problem([...path, target], 'must be an address of the loopback, as 127.0.0.1:5432');
    }
    const other = taken.get(`${host} ${port}`);
    if (other !== undefined) context.problem([...path, target], `this address is that of ${other}`);
    taken.set(`${host} ${port}`, target);
    if (target === name)
      context.problem([...path, target], 'a service cannot reach itself', { at: 'key' });
  }
}
