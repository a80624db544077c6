import type { Socket } from 'node:net';
import type { GatewayConfig, GatewayListener } from '../ipc/gateway-config.js';
import type { HostReading } from './host-name.js';

/**
 * The seam between what moves bytes (an engine) and what decides (access, limits, routes, leases).
 * An engine accepts, reads as much as the decision needs, asks its host, and relays.
 */
export interface Engine {
  readonly name: 'native' | 'node';
  /**
   * Takes on a listener: from here on the engine owns `fds` (listening, non-blocking) and closes them.
   * `addresses` are the fds' own, as `ip:port`, `[ip6]:port` or a path.
   */
  listen(listener: GatewayListener, sockets: readonly ListeningSocket[]): void;
  /** Stops accepting on a listener and closes its sockets; open connections go on. */
  unlisten(listener: string): void;
  /** New settings of listeners that stay (certificates, access, redirect, trusted proxies). */
  update(config: GatewayConfig): void;
  /** The instance is no more, or will be at once: closes its connections and pooled connections. */
  closeInstance(service: string, instance: number): void;
  /** Closes the instance's connections that are kept for later requests: before its lease is released. */
  closePooled(service: string, instance: number): void;
  /**
   * Accepts no more, ends idle keep-alive connections; resolves when the last connection ended.
   * `keepsReach`: listeners on which services reach each other, and their connections, go on.
   */
  drain(keepsReach: boolean, keepsIdle: boolean): Promise<void>;
}

export interface ListeningSocket {
  readonly fd: number;
  readonly address: string;
}

/** Who is asking for a service, for limits, the log and `rouse explain`. */
export interface Demand {
  readonly service: string;
  /** Key of one of the service's upstreams. */
  readonly upstream: string;
  readonly listener: string;
  readonly protocol: string;
  /** `ip:port`, `[ip6]:port`, or `unix:`. */
  readonly source: string;
  /** What the client connected to, in the same form. */
  readonly destination: string;
}

/** What an engine asks its host for. One host serves all engines of a thread. */
export interface EngineHost {
  readonly router: { readonly current: RouteTable };
  /** Counts an accepted connection; a refusal's code when access or the listener's state forbids it. */
  admit(listener: string, sourceIp: string): AdmitRefusal | null;
  /**
   * A use of a running instance of the service. Resolves at once while the gateway holds the lease,
   * else when the supervisor has granted it: until then the demand is held, within the bounds of
   * `limits`. Rejects with a `Refusal`. An aborted signal ends the holding (rejects with
   * `AbortError`), after the resolution it does nothing.
   */
  acquire(demand: Demand, signal?: AbortSignal): Promise<Use>;
  /** As `acquire`, where the lease is in hand: without a promise; null: it has to be waited for. Throws a `Refusal`. */
  tryAcquire(demand: Demand): Use | null;
  /** For requests, which are many: the uses of a service; null: it is no more. */
  requestsOf(service: string): RequestUses | null;
  /** Hands an accepted connection over to a process of a `stdio` service; the fd stays the caller's, to be closed when this has settled. Rejects with a `Refusal`. */
  handOver(demand: Demand, fd: number): Promise<void>;
  /** Whether something counts time: a lease that lingers, somebody who is held. */
  readonly isTiming: boolean;
  /** Whether `logAccess` writes anything. */
  readonly logsAccess: boolean;
  /** One line of the access log. */
  logAccess(entry: AccessEntry): void;
  /** Counts and logs a refusal. */
  logRefusal(entry: RefusalEntry): void;
}

export type AdmitRefusal = 'access-denied' | 'gateway-draining';

/** The uses of one service by requests, which are counted: none has an object of its own. */
export interface RequestUses {
  /** The incarnation whose lease is in hand; null: it has to be waited for. */
  readonly instance: number | null;
  /** Counts a request in, while there is an `instance`. Throws a `Refusal`. */
  begin(sourceIp: string, nowMs: number): void;
  /** Counts out a request that began with this incarnation. */
  end(instance: number, sourceIp: string, nowMs: number): void;
  /** A use in place of a request that was just counted in: its `end` counts it out. */
  toUse(demand: Demand): Use;
}

/** A lease's single use: a relayed connection, or one request in flight. */
export interface Use {
  readonly service: string;
  readonly instance: number;
  /**
   * A connection to the upstream of the demand, through sockets that the supervisor handed in.
   * Retries while an instance that is ready refuses for a moment; rejects with a `Refusal`
   * (`upstream-unreachable`). The caller owns the socket (`allowHalfOpen`, no data lost before the
   * first listener: it is paused).
   */
  dial(): Promise<Socket>;
  /** For engines that work on descriptors: a socket for one connection, the caller's; null: it has to be waited for. */
  takeSocket(): UpstreamSocket | null;
  /** As `takeSocket`, waiting. Rejects with a `Refusal`. */
  awaitSocket(): Promise<UpstreamSocket>;
  /** A connection that moved no byte for `idle.quietMs` holds nothing awake: until `resume`. */
  setQuiet(): void;
  /** Back from quiet, waking the instance where it was frozen; rejects with a `Refusal` when it is gone. */
  resume(): Promise<void>;
  /** The use is over. Idempotent. */
  end(): void;
}

/** A non-blocking socket that leads to an upstream. */
export interface UpstreamSocket {
  readonly fd: number;
  /** Where it is to be connected to; null: it is connected. */
  readonly target: { readonly host: string; readonly port: number } | null;
}

export interface RouteMatch {
  readonly service: string;
  /** Its key. */
  readonly upstream: string;
  readonly upstreamKind: 'tcp' | 'unix' | 'socket' | 'stdio';
  readonly quietMs: number;
}

/** Pure look-up, built once for each configuration. */
export interface RouteTable {
  /**
   * `host`: for http and https listeners, `sni`: for tls; both normalised (lower case, no port, no
   * trailing dot, IPv6 without brackets); null when there is none.
   * `destination`: what the client connected to; null on Unix listeners.
   */
  match(
    listener: string,
    destination: { readonly ip: string; readonly port: number } | null,
    host: string | null,
    sni: string | null,
  ): RouteMatch | null;
  /** As `match`, for a host that was read in the bytes of a request. */
  matchHost(
    listener: string,
    destination: { readonly ip: string; readonly port: number } | null,
    bytes: Uint8Array,
    host: HostReading | null,
  ): RouteMatch | null;
  listener(name: string): GatewayListener | null;
}

export interface AccessEntry {
  readonly listener: string;
  readonly service: string;
  readonly source: string;
  readonly destination: string;
  readonly name: string | null;
  /** HTTP only. */
  readonly method?: string;
  readonly target?: string;
  readonly status?: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** How long the client waited for the service to wake, in milliseconds. */
  readonly heldMs: number;
}

export interface RefusalEntry {
  readonly listener: string;
  readonly service: string | null;
  readonly source: string;
  readonly code: string;
  readonly detail: string;
}
