import net from 'node:net';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { EgressRule } from '../config/model.js';
import { AccessLog } from './access-log.js';
import { dial } from './dial.js';
import type { Guard } from './guard.js';
import { Handshake } from './handshake.js';
import { Policy } from './policy.js';
import type { ProxyRequest } from './proxy-request.js';
import { EgressRefusal } from './refusals.js';
import type { Target } from './target.js';
import { breakOff, tunnel } from './tunnel.js';

export interface ServiceEgressSettings {
  readonly service: string;
  readonly guard: Guard;
  readonly log: Logger;
  /** Default: {@link DEFAULT_EGRESS_LIMITS}. */
  readonly limits?: EgressLimits;
}

export interface EgressLimits {
  readonly connections: number;
  /** For all that a client says before its connection is made. */
  readonly handshakeMs: number;
  /** A connection on which nothing moves either way. */
  readonly idleMs: number;
}

export const DEFAULT_EGRESS_LIMITS: EgressLimits = {
  connections: 512,
  handshakeMs: 10_000,
  idleMs: 2 * 3_600_000,
};

const BACKLOG = 512;
const KEEP_ALIVE_MS = 60_000;
const LAST_WORDS_MS = 2000;

/** What one service may reach: its rules, the proxies that it finds in its VPSs, its connections. */
export class ServiceEgress {
  readonly #servers = new Map<number, net.Server>();
  /** By the client's side; the target once it is known. */
  readonly #connections = new Map<net.Socket, Target | null>();
  readonly #limits: EgressLimits;
  readonly #log: AccessLog;
  #policy = new Policy([]);

  constructor(private readonly settings: ServiceEgressSettings) {
    this.#limits = settings.limits ?? DEFAULT_EGRESS_LIMITS;
    this.#log = new AccessLog(settings.service, settings.log);
  }

  /** From now on; connections that the new rules don't allow any more are broken off. */
  setRules(rules: readonly EgressRule[], logsAccess: boolean): void {
    this.#policy = new Policy(rules);
    this.#log.logsAllowed = logsAccess;
    for (const [client, target] of this.#connections) {
      if (target && !this.#policy.permits(target)) breakOff(client);
    }
  }

  /** Takes connections on a listening socket, which it owns until `unlisten`. */
  listen(id: number, fd: number): net.Server {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    server.on('error', (error) => this.#log.acceptsNothing(error));
    server.on('connection', (client) => void this.#serve(client));
    this.#servers.set(id, server);
    return server.listen({ fd }, BACKLOG);
  }

  /** Whether this was one of its sockets. Its connections end with the service. */
  unlisten(id: number): boolean {
    this.#servers.get(id)?.close();
    return this.#servers.delete(id);
  }

  get isListening(): boolean {
    return this.#servers.size > 0;
  }

  async #serve(client: net.Socket): Promise<void> {
    client.on('error', () => client.destroy());
    const gone = new AbortController();
    client.once('close', () => {
      this.#connections.delete(client);
      gone.abort();
    });
    const isOneTooMany = this.#connections.size >= this.#limits.connections;
    this.#connections.set(client, null);
    const handshake = new Handshake(client);
    const deadline = setTimeout(() => client.destroy(), this.#limits.handshakeMs);
    let request: ProxyRequest | null = null;
    try {
      if (isOneTooMany) throw new EgressRefusal('too-many-connections');
      request = await handshake.readRequest();
      clearTimeout(deadline);
      if (request === null) client.end();
      else await this.#connect(client, request, gone.signal);
    } catch (error) {
      clearTimeout(deadline);
      this.#refuse(client, handshake, request, error);
    }
  }

  async #connect(client: net.Socket, request: ProxyRequest, gone: AbortSignal): Promise<void> {
    const { target, granted, preface } = request;
    const addresses = await this.settings.guard.check(this.#policy, target);
    const upstream = await dial(addresses, target.port, gone);
    if (client.destroyed || !this.#policy.permits(target)) {
      upstream.destroy();
      throw new EgressRefusal('not-allowed');
    }
    this.#connections.set(client, target);
    this.#log.allowed(target, upstream.remoteAddress);
    for (const socket of [client, upstream]) socket.setKeepAlive(true, KEEP_ALIVE_MS);
    client.setTimeout(this.#limits.idleMs, () => breakOff(client));
    if (granted.length > 0) client.write(granted);
    if (preface.length > 0) upstream.write(preface);
    tunnel(client, upstream);
  }

  #refuse(
    client: net.Socket,
    handshake: Handshake,
    request: ProxyRequest | null,
    error: unknown,
  ): void {
    const refusal =
      error instanceof EgressRefusal ? error : new EgressRefusal('unreachable', messageOf(error));
    if (client.destroyed) return;
    this.#log.denied(request?.target ?? null, refusal);
    handshake.release();
    client.end(handshake.writeRefusal(refusal.code));
    client.resume();
    const timer = setTimeout(() => client.destroy(), LAST_WORDS_MS);
    client.once('close', () => clearTimeout(timer));
  }
}
