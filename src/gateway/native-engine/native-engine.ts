import type { GatewayConfig, GatewayListener } from '../../ipc/gateway-config.js';
import type { RefusalCode } from '../../ipc/refusals.js';
import { closeFd } from '../../sys/descriptors.js';
import type { NativeLoop } from '../../sys/native-loop.js';
import { connectionLimit } from '../descriptor-budget.js';
import type { Demand, Engine, EngineHost, ListeningSocket, RouteMatch } from '../engine.js';
import { NativeAcceptor } from './acceptor.js';
import { type Accepted, type NativeContext, refusalOf } from './context.js';
import { HelloConnection } from './hello-reader.js';
import { HttpFront } from './http/http-front.js';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from './http/limits.js';
import { PipePool } from './pipe-pool.js';
import { SpareSockets } from './spare-sockets.js';
import { StreamConnection } from './stream-connection.js';

/** How often connections are looked at that may have become quiet or were too slow, in milliseconds. */
const SWEEP_MS = 250;

export interface NativeEngineOptions extends Partial<HttpLimits> {
  /** For a whole ClientHello, in milliseconds. */
  readonly helloMs?: number;
  /** The process's descriptor limit; default: as the kernel says. */
  readonly descriptorLimit?: number;
}

/** The engine on epoll and splice, for one thread that has a loop of its own. It takes `tcp`, `tls` and `http`. */
export class NativeEngine implements Engine {
  readonly name = 'native';
  readonly #context: NativeContext;
  readonly #http: HttpFront;
  readonly #acceptors = new Map<string, NativeAcceptor[]>();
  #onDrained: (() => void) | null = null;
  #keepsReach = false;

  constructor(
    host: EngineHost,
    loop: NativeLoop,
    private readonly options: NativeEngineOptions = {},
  ) {
    this.#context = {
      host,
      loop,
      pipes: new PipePool(),
      spares: new SpareSockets(loop),
      connections: new Set(),
      connectionLimit: connectionLimit(options.descriptorLimit),
    };
    this.#http = new HttpFront(this.#context, { ...DEFAULT_HTTP_LIMITS, ...options });
    loop.isTiming = () => host.isTiming;
    setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  listen(listener: GatewayListener, sockets: readonly ListeningSocket[]): void {
    const isHttp = listener.protocol === 'http';
    if (isHttp) this.#http.update(listener);
    const serve = listener.protocol === 'tls' ? this.#serveTls : this.#serveTcp;
    const acceptors = sockets.map((socket) =>
      isHttp
        ? new NativeAcceptor(this.#context, listener, socket, this.#serveHttp, this.#refuseHttp)
        : new NativeAcceptor(this.#context, listener, socket, serve, null),
    );
    this.#acceptors.set(listener.name, acceptors);
  }

  unlisten(listener: string): void {
    this.#closeAcceptors(listener);
    this.#http.closeWhenIdle(listener, false);
  }

  #closeAcceptors(listener: string): void {
    for (const acceptor of this.#acceptors.get(listener) ?? []) acceptor.close();
    this.#acceptors.delete(listener);
  }

  update(config: GatewayConfig): void {
    for (const listener of config.listeners) {
      for (const acceptor of this.#acceptors.get(listener.name) ?? []) acceptor.listener = listener;
      if (listener.protocol === 'http') this.#http.update(listener);
    }
  }

  closeInstance(service: string, instance: number): void {
    this.#http.pools.closeInstance(service, instance);
    for (const connection of this.#context.connections) {
      if (connection.service === service && connection.instance === instance) connection.destroy();
    }
    this.#context.spares.close(service, instance);
  }

  closePooled(service: string, instance: number): void {
    this.#http.pools.closeIdle(service, instance);
    this.#context.spares.close(service, instance);
  }

  drain(keepsReach: boolean, keepsIdle: boolean): Promise<void> {
    this.#keepsReach = keepsReach;
    for (const [name, [first]] of this.#acceptors) {
      const isKept = keepsReach && first?.listener.fixedService != null;
      if (!isKept) this.#closeAcceptors(name);
    }
    this.#http.closeWhenIdle(null, keepsIdle);
    const tellOthers = this.#onDrained;
    return new Promise((resolve) => {
      this.#onDrained = () => {
        tellOthers?.();
        resolve();
      };
      this.#checkDrained();
    });
  }

  #checkDrained(): void {
    for (const { isReach } of this.#context.connections) if (!isReach || !this.#keepsReach) return;
    this.#onDrained?.();
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const connection of this.#context.connections) connection.sweep(nowMs);
    this.#http.pools.closeExpired(nowMs);
    if (this.#onDrained) this.#checkDrained();
  }

  readonly #serveTls = (accepted: Accepted): void => {
    new HelloConnection(this.#context, accepted, this.#serveHello, this.options.helloMs).begin();
  };

  readonly #serveHello = (
    accepted: Accepted,
    match: RouteMatch,
    name: string | null,
    bytes: Buffer,
  ): void => {
    new StreamConnection(this.#context, accepted, match, name, bytes);
  };

  readonly #serveHttp = (accepted: Accepted): void => this.#http.serve(accepted, null);

  readonly #refuseHttp = (accepted: Accepted, code: RefusalCode): void =>
    this.#http.serve(accepted, code);

  readonly #serveTcp = (accepted: Accepted): void => {
    const { listener, destination } = accepted;
    const match = this.#context.host.router.current.match(listener.name, destination, null, null);
    if (!match) {
      this.#logRefusal(accepted, null, 'no-route', '');
      closeFd(accepted.fd);
    } else if (match.upstreamKind === 'stdio') {
      this.#handOver(accepted, match.service, match.upstream);
    } else {
      new StreamConnection(this.#context, accepted, match, null, null);
    }
  };

  #handOver(accepted: Accepted, service: string, upstream: string): void {
    const { host, loop } = this.#context;
    const { fd, listener, source, destinationText } = accepted;
    const beganMs = performance.now();
    const demand: Demand = {
      service,
      upstream,
      listener: listener.name,
      protocol: listener.protocol,
      source,
      destination: destinationText,
    };
    loop.needTurn();
    host.handOver(demand, fd).then(
      () => {
        closeFd(fd);
        const heldMs = performance.now() - beganMs;
        host.logAccess({
          listener: listener.name,
          service,
          source,
          destination: destinationText,
          name: null,
          bytesIn: 0,
          bytesOut: 0,
          durationMs: heldMs,
          heldMs,
        });
      },
      (thrown) => {
        closeFd(fd);
        const refusal = refusalOf(thrown);
        if (refusal) this.#logRefusal(accepted, service, refusal.code, refusal.detail);
      },
    );
  }

  #logRefusal(
    { listener, source }: Accepted,
    service: string | null,
    code: string,
    detail: string,
  ): void {
    this.#context.host.logRefusal({ listener: listener.name, service, source, code, detail });
  }
}
