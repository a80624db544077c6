import { once } from 'node:events';
import net from 'node:net';
import type { Access, Protocol } from '../../src/config/model.js';
import type {
  AccessEntry,
  AdmitRefusal,
  Demand,
  Engine,
  EngineHost,
  ListeningSocket,
  RefusalEntry,
  RequestUses,
  RouteTable,
  UpstreamSocket,
  Use,
} from '../../src/gateway/engine.js';
import { buildRouteTable } from '../../src/gateway/route-table.js';
import type { GatewayConfig, GatewayListener, GatewayRoute } from '../../src/ipc/gateway-config.js';
import { Refusal } from '../../src/ipc/refusals.js';
import { closeFd } from '../../src/sys/descriptors.js';
import { createStreamSocket, listenOn, localAddress, startConnect } from '../../src/sys/sockets.js';
import { waitFor } from '../support/wait-for.js';

/** Bounds that tests make short; the names are those of the node engine. */
export interface EngineOptions {
  readonly helloMs?: number;
  readonly headMs?: number;
  readonly bodyMs?: number;
  readonly sendMs?: number;
  readonly idleMs?: number;
  readonly pooledMs?: number;
  readonly descriptorLimit?: number;
}

export type EngineFactory = (host: EngineHost, options?: EngineOptions) => Engine;

/** Who asks where nobody has to say so. */
const NOBODY = { upstream: 'main', listener: '', protocol: 'http', source: '', destination: '' };
const ANYONE: Access = { allow: null, deny: [] };

export interface ListenerSpec {
  readonly name: string;
  readonly protocol: Protocol;
  /** 127.0.0.1 by default. */
  readonly host?: string;
  readonly redirect?: 'https';
  /** A service reaches this one there. */
  readonly reaches?: string;
  readonly trustedProxies?: readonly string[];
  readonly certificates?: ReadonlyArray<{ readonly cert: string; readonly key: string }>;
}

export interface ServiceSpec {
  readonly name: string;
  readonly routes: ReadonlyArray<Partial<GatewayRoute>>;
  /** Where the service listens: a port of 127.0.0.1, or a path. */
  readonly target: number | string;
  readonly kind?: 'tcp' | 'unix' | 'stdio';
  readonly quietMs?: number;
}

export interface RigSpec {
  readonly listeners: readonly ListenerSpec[];
  readonly services: readonly ServiceSpec[];
  readonly options?: EngineOptions;
}

/** An engine with listeners on free ports and a host that connects to servers of the test. */
export class Rig implements AsyncDisposable {
  readonly host: RecordingHost;
  readonly engine: Engine;
  readonly #ports = new Map<string, number>();

  constructor(
    createEngine: EngineFactory,
    private readonly spec: RigSpec,
  ) {
    this.host = new RecordingHost(spec.services, buildRouteTable(configOf(spec)));
    this.engine = createEngine(this.host, spec.options);
    for (const listener of spec.listeners) {
      const { port, socket } = listenSomewhere(listener.host ?? '127.0.0.1');
      this.#ports.set(listener.name, port);
      this.engine.listen(listenerOf(listener), [socket]);
    }
  }

  port(listener: string): number {
    const port = this.#ports.get(listener);
    if (port === undefined) throw new Error(`no listener ${listener}`);
    return port;
  }

  /** New settings of the listeners. */
  update(listeners: readonly ListenerSpec[]): void {
    this.engine.update(configOf({ ...this.spec, listeners }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { name } of this.spec.listeners) this.engine.unlisten(name);
    for (const { name } of this.spec.services) this.engine.closeInstance(name, 1);
  }
}

/** Grants every demand at once, unless told to hold or to refuse; keeps what it was told. */
export class RecordingHost implements EngineHost {
  readonly accesses: AccessEntry[] = [];
  readonly refusals: RefusalEntry[] = [];
  readonly demands: Demand[] = [];
  readonly abortedDemands: Demand[] = [];
  readonly router: { current: RouteTable };
  readonly isTiming = true;
  readonly logsAccess = true;
  admitRefusal: AdmitRefusal | null = null;
  refuseWith: Refusal | null = null;
  handOvers: Array<{ readonly demand: Demand; readonly fd: number }> = [];
  onHandOver: (fd: number) => Promise<void> = async () => {};
  dials = 0;
  openUses = 0;
  endedUses = 0;
  quietUses = 0;
  resumes = 0;
  onResume: () => Promise<void> = async () => {};
  #gate: Promise<void> | null = null;

  constructor(
    private readonly services: readonly ServiceSpec[],
    table: RouteTable,
  ) {
    this.router = { current: table };
  }

  /** Demands wait until the result is called. */
  hold(): () => void {
    let release = (): void => {};
    this.#gate = new Promise((resolve) => {
      release = () => {
        this.#gate = null;
        resolve();
      };
    });
    return release;
  }

  admit(): AdmitRefusal | null {
    return this.admitRefusal;
  }

  async acquire(demand: Demand, signal?: AbortSignal): Promise<Use> {
    this.demands.push(demand);
    if (this.#gate !== null) await this.#waitAtGate(demand, signal);
    if (this.refuseWith !== null) throw this.refuseWith;
    return this.#createUse(demand);
  }

  tryAcquire(demand: Demand): Use | null {
    if (this.#gate !== null) return null;
    this.demands.push(demand);
    if (this.refuseWith !== null) throw this.refuseWith;
    return this.#createUse(demand);
  }

  requestsOf(service: string): RequestUses {
    const host = this;
    return {
      get instance() {
        return host.#gate === null ? 1 : null;
      },
      begin: () => {
        host.demands.push({ ...NOBODY, service });
        if (host.refuseWith !== null) throw host.refuseWith;
        host.openUses += 1;
      },
      end: () => {
        host.openUses -= 1;
        host.endedUses += 1;
      },
      toUse: (demand) => {
        host.openUses -= 1;
        return host.#createUse(demand);
      },
    };
  }

  async #waitAtGate(demand: Demand, signal: AbortSignal | undefined): Promise<void> {
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => {
        this.abortedDemands.push(demand);
        reject(new DOMException('the client left', 'AbortError'));
      });
    });
    await Promise.race([this.#gate, aborted]);
  }

  #createUse(demand: Demand): Use {
    const service = this.services.find(({ name }) => name === demand.service);
    if (service === undefined) throw new Error(`no service ${demand.service}`);
    this.openUses += 1;
    let isOver = false;
    return {
      service: demand.service,
      instance: 1,
      dial: () => this.#dial(service.target),
      takeSocket: () => this.#takeSocket(service.target),
      awaitSocket: async () => this.#takeSocket(service.target),
      setQuiet: () => {
        this.quietUses += 1;
      },
      resume: async () => {
        this.resumes += 1;
        await this.onResume();
        this.quietUses -= 1;
      },
      end: () => {
        if (isOver) return;
        isOver = true;
        this.openUses -= 1;
        this.endedUses += 1;
      },
    };
  }

  async #dial(target: number | string): Promise<net.Socket> {
    this.dials += 1;
    const socket =
      typeof target === 'string'
        ? net.connect({ path: target, allowHalfOpen: true })
        : net.connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    socket.pause();
    try {
      await once(socket, 'connect');
    } catch {
      throw new Refusal('upstream-unreachable');
    }
    return socket;
  }

  #takeSocket(target: number | string): UpstreamSocket {
    this.dials += 1;
    if (typeof target === 'number') {
      return { fd: createStreamSocket('inet'), target: { host: '127.0.0.1', port: target } };
    }
    const fd = createStreamSocket('unix');
    if (startConnect(fd, { kind: 'unix', path: target }) === 'connected')
      return { fd, target: null };
    closeFd(fd);
    throw new Refusal('upstream-unreachable');
  }

  async handOver(demand: Demand, fd: number): Promise<void> {
    this.handOvers.push({ demand, fd });
    await this.onHandOver(fd);
  }

  logAccess(entry: AccessEntry): void {
    this.accesses.push(entry);
  }

  logRefusal(entry: RefusalEntry): void {
    this.refusals.push(entry);
  }

  /** Resolves when every use that was given has ended and was logged. */
  async allUsesEnded(): Promise<void> {
    await waitFor(() => this.endedUses > 0 && this.openUses === 0, { what: 'the uses to end' });
  }

  async nextRefusal(): Promise<RefusalEntry> {
    return waitFor(() => this.refusals[0], { what: 'a refusal in the log' });
  }

  async nextAccess(): Promise<AccessEntry> {
    return waitFor(() => this.accesses[0], { what: 'a line in the access log' });
  }
}

function listenSomewhere(host: string): { port: number; socket: ListeningSocket } {
  const fd = listenOn({ kind: 'inet', host, port: 0 }, 4096);
  const address = localAddress(fd);
  if (address?.kind !== 'inet') throw new Error('no address');
  const text = host.includes(':') ? `[${host}]` : host;
  return { port: address.port, socket: { fd, address: `${text}:${address.port}` } };
}

function configOf({ listeners, services }: RigSpec): GatewayConfig {
  return {
    generation: 1,
    gateway: 'main',
    listeners: listeners.map(listenerOf),
    services: services.map((service) => ({
      name: service.name,
      routes: service.routes.map((route) => ({
        listener: null,
        host: null,
        sni: null,
        destination: null,
        upstream: 0,
        ...route,
      })),
      terms: {
        upstreams: [
          {
            key: 'main',
            kind: service.kind ?? (typeof service.target === 'string' ? 'unix' : 'tcp'),
          },
        ],
        access: ANYONE,
        limits: { connections: 10_000, held: 4096, heldAgeMs: 30_000, perSource: null, rate: null },
        idle: {
          freezeMs: null,
          stopMs: 300_000,
          quietMs: service.quietMs ?? 3_600_000,
          reclaim: false,
          hold: false,
        },
      },
    })),
    log: { level: 'info', access: true },
  };
}

function listenerOf(spec: ListenerSpec): GatewayListener {
  return {
    name: spec.name,
    protocol: spec.protocol,
    redirect: spec.redirect ?? null,
    access: ANYONE,
    trustedProxies: spec.trustedProxies ?? [],
    certificates: spec.certificates ?? [],
    fixedService: spec.reaches ?? null,
  };
}
