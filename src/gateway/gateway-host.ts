import type { Logger } from '../base/log.js';
import type { GatewayConfig, ServiceTerms } from '../ipc/gateway-config.js';
import type { DialPlan, ListenerCounters, ServiceCounters } from '../ipc/messages.js';
import { Refusal } from '../ipc/refusals.js';
import { closeFd } from '../sys/descriptors.js';
import { buildAccessList } from './access-list.js';
import type {
  AccessEntry,
  AdmitRefusal,
  Demand,
  Engine,
  EngineHost,
  RefusalEntry,
  RequestUses,
  RouteTable,
  Use,
} from './engine.js';
import { LeasedUse } from './leased-use.js';
import { buildRouteTable } from './route-table.js';
import { isHttp, ServiceDesk } from './service-desk.js';
import type { SupervisorLink } from './supervisor-link.js';
import { UpstreamSockets } from './upstream-sockets.js';

interface Door {
  isAllowed: (ip: string) => boolean;
  accepted: number;
  refused: number;
}

/** Decides for the engines of one thread: access, limits, routes, leases, dialling; and counts. */
export class GatewayHost implements EngineHost {
  readonly router: { current: RouteTable };
  /** Of every service that this gateway's listeners lead to. */
  #terms: ReadonlyMap<string, ServiceTerms> = new Map();
  /** Set once the engine exists: it is asked to let go of pooled connections. */
  engine: Engine | null = null;
  #draining: 'all' | 'clients' | null = null;
  logsAccess = false;
  /** Of services that somebody asked for: of ten thousand most are asleep. */
  readonly #desks = new Map<string, ServiceDesk>();
  /** Those whose counters may have changed since they were taken. */
  readonly #counting = new Set<ServiceDesk>();
  readonly #doors = new Map<string, Door>();
  readonly #awake = new Set<ServiceDesk>();

  constructor(
    config: GatewayConfig,
    private readonly link: SupervisorLink,
    private readonly log: Logger,
  ) {
    this.router = { current: buildRouteTable(config) };
    this.#takeTerms(config);
  }

  /** Puts a new config into effect in one step. */
  update(config: GatewayConfig): void {
    this.router.current = buildRouteTable(config);
    this.#takeTerms(config);
  }

  #takeTerms(config: GatewayConfig): void {
    this.#terms = new Map(config.services.map(({ name, terms }) => [name, terms]));
    this.logsAccess = config.log.access;
    for (const { name, access } of config.listeners) {
      const door = this.#doors.get(name) ?? { isAllowed: () => true, accepted: 0, refused: 0 };
      door.isAllowed = buildAccessList(access);
      this.#doors.set(name, door);
    }
    const nowMs = performance.now();
    for (const [name, desk] of this.#desks) {
      const terms = this.#terms.get(name);
      if (terms) {
        desk.gate.update(terms, nowMs);
        desk.lease.update(terms.idle);
      } else this.#dismiss(name, desk);
    }
  }

  #dismiss(name: string, desk: ServiceDesk): void {
    const { lease, gate } = desk;
    lease.refused(gate.refuse('no-route'));
    lease.yieldNow();
    if (gate.open > 0) return;
    this.#desks.delete(name);
    this.#counting.delete(desk);
  }

  #openDesk(name: string, terms: ServiceTerms): ServiceDesk {
    const desk = new ServiceDesk(name, terms, {
      onWanted: () => this.#askFor(name),
      onReleased: (instance, idleMs) => this.#giveBack(name, instance, idleMs),
      onWaiting: (waiting) => this.#noteAwake(waiting),
      onCounting: (counting) => this.#counting.add(counting),
    });
    this.#desks.set(name, desk);
    return desk;
  }

  #askFor(service: string): void {
    const demand = this.#desks.get(service)?.latest;
    const cause = demand && isHttp(demand.protocol) ? 'request' : 'connection';
    this.link.send({
      type: 'acquire',
      service,
      listener: demand?.listener ?? '-',
      source: demand?.source ?? '-',
      cause,
    });
  }

  /** Pooled connections go first: after the release nothing of the service is open here but quiet connections. */
  #giveBack(service: string, instance: number, idleMs: number): void {
    this.engine?.closePooled(service, instance);
    const desk = this.#desks.get(service);
    desk?.sockets?.close();
    if (desk) {
      desk.sockets = null;
      this.#noteAwake(desk);
    }
    this.link.send({ type: 'release', service, instance, idleMs });
  }

  granted(
    service: string,
    instance: number,
    plans: Readonly<Record<string, DialPlan>>,
    first: { fd: number; upstream: string } | null,
  ): void {
    const desk = this.#desks.get(service);
    if (!desk) {
      if (first) closeFd(first.fd);
      this.link.send({ type: 'release', service, instance, idleMs: 0 });
      return;
    }
    desk.sockets?.close();
    desk.sockets = new UpstreamSockets(this.link, service, instance, plans);
    if (first) desk.sockets.offer(first.fd, first.upstream);
    desk.lease.granted({ instance });
    this.#noteAwake(desk);
  }

  refused(service: string, refusal: Refusal): void {
    this.#desks.get(service)?.lease.refused(refusal);
  }

  /** The incarnation is no more. */
  gone(service: string, instance: number): void {
    const desk = this.#desks.get(service);
    if (desk?.lease.grant?.instance === instance) {
      desk.sockets?.close();
      desk.sockets = null;
    }
    desk?.lease.lost(instance);
    if (desk) this.#noteAwake(desk);
    this.engine?.closeInstance(service, instance);
  }

  yieldLease(service: string): void {
    this.#desks.get(service)?.lease.yieldNow();
  }

  startDraining(keepsReach: boolean): void {
    this.#draining = keepsReach ? 'clients' : 'all';
  }

  admit(listener: string, sourceIp: string): AdmitRefusal | null {
    const door = this.#doors.get(listener);
    if (door) door.accepted += 1;
    if (this.#draining !== null && !this.#isKept(listener)) return 'gateway-draining';
    return door && !door.isAllowed(sourceIp) ? 'access-denied' : null;
  }

  #isKept(listener: string): boolean {
    const isReach = this.router.current.listener(listener)?.fixedService != null;
    return isReach && this.#draining === 'clients';
  }

  get isTiming(): boolean {
    return this.#awake.size > 0;
  }

  /** Timers count for desks with a lease, or with somebody who waits for one. */
  #noteAwake(desk: ServiceDesk): void {
    if (desk.lease.grant || desk.lease.waiting > 0) this.#awake.add(desk);
    else this.#awake.delete(desk);
  }

  tryAcquire(demand: Demand): Use | null {
    const desk = this.#deskOf(demand.service);
    const { grant } = desk.lease;
    if (!grant) return null;
    desk.enter(demand);
    desk.lease.tryUse();
    return new LeasedUse(desk, demand, grant.instance);
  }

  async acquire(demand: Demand, signal?: AbortSignal): Promise<Use> {
    const desk = this.#deskOf(demand.service);
    desk.enter(demand);
    try {
      const grant = desk.lease.tryUse() ?? (await desk.hold(demand, signal));
      return new LeasedUse(desk, demand, grant.instance);
    } catch (error) {
      desk.leave(demand);
      throw error;
    }
  }

  requestsOf(service: string): RequestUses | null {
    return this.#findDesk(service);
  }

  /** Throws a `Refusal` where there is no such service. */
  #deskOf(service: string): ServiceDesk {
    const desk = this.#findDesk(service);
    if (!desk) throw new Refusal('no-route');
    return desk;
  }

  #findDesk(service: string): ServiceDesk | null {
    const terms = this.#terms.get(service);
    return this.#desks.get(service) ?? (terms ? this.#openDesk(service, terms) : null);
  }

  async handOver(demand: Demand, fd: number): Promise<void> {
    if (fd < 0) return;
    const desk = this.#deskOf(demand.service);
    desk.enter(demand);
    try {
      if (desk.handingOver >= desk.gate.terms.limits.held)
        throw desk.gate.refuse('held-limit', 1000);
      desk.handingOver += 1;
      await this.link.handOver(demand, fd).finally(() => {
        desk.handingOver -= 1;
      });
    } finally {
      desk.leave(demand);
    }
  }

  logAccess(entry: AccessEntry): void {
    if (!this.logsAccess) return;
    // `name` is who logs.
    const { name, ...fields } = entry;
    const { method, target, status, source, service } = fields;
    const what = method === undefined ? 'connection' : `${method} ${target} ${status}`;
    this.log.info(
      { event: 'access', ...fields, host: name },
      `${source} ${what} (${service}, ${Math.round(entry.durationMs)} ms)`,
    );
  }

  logRefusal(entry: RefusalEntry): void {
    const door = this.#doors.get(entry.listener);
    if (door) door.refused += 1;
    this.log.debug(
      { event: 'refusal', ...entry },
      `${entry.source} refused on ${entry.listener}: ${entry.code}`,
    );
  }

  /** Of the services that something happened to since the last call. */
  takeServiceCounters(): ServiceCounters[] {
    const rows: ServiceCounters[] = [];
    for (const desk of this.#counting) {
      const counters = desk.takeCounters();
      if (counters) rows.push(counters);
      else this.#counting.delete(desk);
    }
    return rows;
  }

  listenerCounters(): ListenerCounters[] {
    return [...this.#doors].map(([name, { accepted, refused }]) => ({ name, accepted, refused }));
  }
}
