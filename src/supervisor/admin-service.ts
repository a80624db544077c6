import { RouseError } from '../base/errors.js';
import type { Config } from '../config/model.js';
import type {
  AdminApi,
  Explanation,
  ListenerStatus,
  ReloadReport,
  ServiceStatus,
  StateEvent,
  Status,
  UpgradePlan,
  UpgradeReport,
} from '../ipc/admin-api.js';
import type { Announcer } from './announcer.js';
import { parseLimits } from './live-limits.js';
import type { OutputLog } from './output-log.js';
import { ServiceDriver } from './service-driver.js';
import type { UntouchedService } from './service-set.js';
import type { Supervisor } from './supervisor.js';

export interface AdminServiceSettings {
  readonly supervisor: Supervisor;
  /** Is told of reloads. */
  readonly announcer: Announcer;
  readonly version: string;
  /** Reads the config anew; rejects with a `RouseError` of code `config` with every problem. */
  readonly load: () => Promise<Config>;
  readonly upgrade: Upgrading;
  /** When the first self of this process began to serve, by the wall clock. */
  readonly startedAtMs: number;
}

/** How this process becomes the program that is installed. */
export interface Upgrading {
  readonly isDue: boolean;
  begin(): Promise<UpgradePlan>;
  readonly last: Promise<UpgradeReport>;
}

/** Events that a slow reader may be behind; older ones are left out then. */
const EVENT_BACKLOG = 10_000;
const NO_REQUESTS = { inFlight: 0, total: 0 };
const NO_COLD_START = { lastMs: null, p50Ms: null, p99Ms: null };
const BY_COMMAND = { cause: 'command', source: null, listener: null };

/** What the admin socket offers, done by the supervisor. */
export class AdminService implements AdminApi {
  constructor(private readonly settings: AdminServiceSettings) {}

  async status(): Promise<Status> {
    const { supervisor, version } = this.settings;
    await supervisor.gateways.refreshCounters();
    const unenforced = supervisor.machine.unenforcedOf(supervisor.config);
    return {
      services: [...supervisor.services.all()].map((service) =>
        service instanceof ServiceDriver ? this.#statusOf(service) : statusOfUntouched(service),
      ),
      listeners: supervisor.config.listeners.map(({ name, protocol }) =>
        this.#listenerStatus(name, protocol),
      ),
      gateways: supervisor.gateways.current.map((gateway) => ({
        name: gateway.name,
        pid: gateway.pid,
        engine:
          supervisor.config.gateways.find(({ name }) => name === gateway.name)?.engine ?? 'node',
        isolation: supervisor.machine.description,
        restarts: gateway.restarts,
      })),
      ...(unenforced.length > 0 && { unenforced }),
      supervisor: {
        pid: process.pid,
        version,
        uptimeMs: Date.now() - this.settings.startedAtMs,
      },
    };
  }

  #listenerStatus(name: string, protocol: string): ListenerStatus {
    const { supervisor } = this.settings;
    const gateway = supervisor.gatewayOf(name)?.name ?? '';
    return {
      name,
      addresses: supervisor.addressesOf(name),
      protocol,
      gateway,
      ...supervisor.counters.listener(name),
    };
  }

  #statusOf(driver: ServiceDriver): ServiceStatus {
    const { record } = driver;
    const { name } = driver.service;
    const traffic = this.settings.supervisor.counters.service(name);
    const handed = driver.instance?.connectionProcesses ?? 0;
    return {
      name,
      state: driver.state,
      pid: driver.instance?.pid ?? null,
      since: driver.since,
      connections: Math.max(traffic.connections, handed),
      held: traffic.held,
      requests: { inFlight: traffic.requestsInFlight, total: traffic.requestsTotal },
      starts: record.starts,
      failures: record.failures.count,
      coldStart: record.coldStart,
      lastWake: record.lastWake,
      lastExit: record.lastExit,
      failure: driver.failure,
    };
  }

  #driver(service: string): ServiceDriver {
    const driver = this.settings.supervisor.services.find(service);
    if (driver) return driver;
    throw new RouseError(
      'unknown-service',
      `${service}: no service of this name is configured; rouse status lists them`,
    );
  }

  async #freshStatus(driver: ServiceDriver): Promise<ServiceStatus> {
    await this.settings.supervisor.gateways.refreshCounters();
    return this.#statusOf(driver);
  }

  async wake(service: string, { wait }: { wait: boolean }): Promise<ServiceStatus> {
    const driver = this.#driver(service);
    const ready = driver.wake(BY_COMMAND);
    if (wait) await ready;
    else ready.catch(() => {});
    return this.#freshStatus(driver);
  }

  /** Relayed, held, or on processes of their own: one that is being handed over is held and on a process. */
  #openConnections(driver: ServiceDriver): number {
    const traffic = this.settings.supervisor.counters.service(driver.service.name);
    return Math.max(traffic.connections + traffic.held, driver.instance?.connectionProcesses ?? 0);
  }

  async sleep(service: string, { force }: { force: boolean }): Promise<ServiceStatus> {
    const driver = this.#driver(service);
    await this.#freshStatus(driver);
    const open = this.#openConnections(driver);
    if (open > 0 && !force) {
      const count = open === 1 ? '1 connection is' : `${open} connections are`;
      throw new RouseError(
        'busy',
        `${service}: ${count} open; wait for them, or close them with --force`,
      );
    }
    if (!force) await this.settings.supervisor.gateways.yieldLease(service);
    await driver.stop('put to sleep by command');
    return this.#freshStatus(driver);
  }

  async freeze(service: string): Promise<ServiceStatus> {
    const driver = this.#driver(service);
    const { connections, state } = await this.#freshStatus(driver);
    if (state !== 'running')
      throw new RouseError('busy', `${service} is ${state}: only a running service can be frozen`);
    if (connections > 0)
      throw new RouseError(
        'busy',
        `${service}: ${connections} connections are open; wait for them`,
      );
    await this.settings.supervisor.gateways.yieldLease(service);
    if (!driver.freeze()) throw new RouseError('busy', `${service}: it is in use again; try again`);
    return this.#freshStatus(driver);
  }

  async restart(service: string): Promise<ServiceStatus> {
    const driver = this.#driver(service);
    await driver.restart();
    return this.#freshStatus(driver);
  }

  async hold(service: string, { forMs }: { forMs: number | null }): Promise<ServiceStatus> {
    const driver = this.#driver(service);
    await driver.wake(BY_COMMAND);
    driver.holdByCommand(forMs);
    return this.#freshStatus(driver);
  }

  async release(service: string): Promise<ServiceStatus> {
    const driver = this.#driver(service);
    driver.releaseByCommand();
    return this.#freshStatus(driver);
  }

  async set(service: string, limits: Readonly<Record<string, string>>): Promise<ServiceStatus> {
    const driver = this.#driver(service);
    const { machine } = this.settings.supervisor;
    const changes = parseLimits(driver.service, limits, machine.capabilities);
    const resources = { ...driver.service.resources, ...changes };
    await driver.instance?.changeLimits((cgroup, processes) =>
      machine.change(driver.service, changes, cgroup, processes),
    );
    driver.update({ ...driver.service, resources });
    return this.#freshStatus(driver);
  }

  async explain(service: string): Promise<Explanation> {
    const { supervisor } = this.settings;
    const driver = this.#driver(service);
    const status = await this.#freshStatus(driver);
    const due = driver.idleDue;
    const at = due ? new Date(due.atMs).toISOString() : null;
    return {
      service,
      status,
      why: reasonsOf(driver, status, at),
      leases: this.#leasesOf(driver),
      isolation: supervisor.reportIsolation(driver.service),
      idle: {
        freezeAt: due?.event === 'freeze-due' ? at : null,
        stopAt: due?.event === 'stop-due' ? at : null,
      },
      lastOutput: this.#output(service).recent(),
      refusals: supervisor.counters.service(service).refusals,
    };
  }

  #leasesOf(driver: ServiceDriver): Explanation['leases'] {
    const { counters, gateways } = this.settings.supervisor;
    return [...driver.leases].map(([holder, { since }]) => {
      const lane = gateways.laneOf(holder);
      const traffic = lane && counters.ofGateway(lane.epoch, driver.service.name);
      return {
        holder: lane ? `gateway ${lane.name}` : holder.name,
        since: new Date(since).toISOString(),
        connections: traffic?.connections ?? 1,
        requests: traffic?.requestsInFlight ?? 0,
      };
    });
  }

  #output(service: string): OutputLog {
    const output = this.settings.supervisor.services.outputOf(service);
    if (output) return output;
    throw new RouseError('unknown-service', `${service}: no service of this name is configured`);
  }

  async *logs(
    service: string,
    options: { lines: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<string> {
    const output = this.#output(service);
    if (options.follow) yield* output.follow(options.signal, options.lines);
    else yield* await output.tail(options.lines);
  }

  async reload(): Promise<ReloadReport | UpgradePlan> {
    const { announcer, load, supervisor, upgrade } = this.settings;
    if (upgrade.isDue) return this.upgrade();
    return announcer.reload(() => supervisor.reload(load));
  }

  async upgrade(): Promise<UpgradePlan> {
    const { announcer, upgrade } = this.settings;
    const plan = await upgrade.begin();
    // Only a failure ends it in this program.
    announcer.reload(() => upgrade.last).catch(() => {});
    return plan;
  }

  upgraded(): Promise<UpgradeReport> {
    return this.settings.upgrade.last;
  }

  async *events(signal: AbortSignal): AsyncIterable<StateEvent> {
    const queue: StateEvent[] = [];
    let wake = () => {};
    const stopListening = this.settings.supervisor.services.onState((event) => {
      queue.push(event);
      if (queue.length > EVENT_BACKLOG) queue.shift();
      wake();
    });
    signal.addEventListener('abort', () => wake(), { once: true });
    try {
      while (!signal.aborted) {
        const event = queue.shift();
        if (event) yield event;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      stopListening();
    }
  }
}

function statusOfUntouched({ service, sinceMs }: UntouchedService): ServiceStatus {
  return {
    name: service.name,
    state: 'stopped',
    pid: null,
    since: new Date(sinceMs).toISOString(),
    connections: 0,
    held: 0,
    requests: NO_REQUESTS,
    starts: 0,
    failures: 0,
    coldStart: NO_COLD_START,
    lastWake: null,
    lastExit: null,
    failure: null,
  };
}

/** Why it is awake or asleep, one sentence each. */
function reasonsOf(driver: ServiceDriver, status: ServiceStatus, dueAt: string | null): string[] {
  const { state, lastWake } = status;
  const reasons: string[] = [];
  if (lastWake) reasons.push(`Last woken ${lastWake.at} by ${lastWake.source ?? lastWake.cause}.`);
  if (state === 'stopped')
    reasons.push(lastWake ? 'Nobody has needed it since it stopped.' : 'Nobody has needed it yet.');
  if (state === 'failed') reasons.push(`It failed: ${status.failure?.reason}.`);
  if (state === 'starting') reasons.push(`It starts; ${status.held} clients wait for it.`);
  if (state === 'running' && driver.leases.size > 0) {
    const isUsed = status.connections + status.requests.inFlight > 0;
    if (!isUsed) reasons.push('It was in use a moment ago.');
    else
      reasons.push(
        `In use: ${status.connections} connections open, ${status.requests.inFlight} requests in flight.`,
      );
  }
  if (state === 'running' && driver.leases.size === 0) {
    reasons.push(
      dueAt ? 'Nobody uses it; it goes idle.' : 'Nobody uses it; idle: never keeps it running.',
    );
  }
  if (state === 'frozen')
    reasons.push('Nobody uses it: frozen, its memory is kept; the next use thaws it.');
  if (dueAt)
    reasons.push(
      `Unless somebody uses it, it is ${driver.idleDue?.event === 'freeze-due' ? 'frozen' : 'stopped'} at ${dueAt}.`,
    );
  return reasons;
}
