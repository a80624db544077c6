import type { GatewayListener } from '../../../ipc/gateway-config.js';
import type { RefusalCode } from '../../../ipc/refusals.js';
import { buildCidrMatcher } from '../../access-list.js';
import type { RouteMatch, RouteTable } from '../../engine.js';
import type { Accepted, NativeContext } from '../context.js';
import { ClientConnection } from './client-connection.js';
import type { HttpLimits } from './limits.js';
import { ServicePath } from './service-path.js';
import { UpstreamPools } from './upstream-pools.js';

/** What of a listener's settings may change while its connections are open. */
export interface HttpListener {
  readonly name: string;
  redirect: 'https' | null;
  /** Whether the address is of a proxy whose word about its clients is believed. */
  isTrusted: (ip: string) => boolean;
}

/** Serves HTTP on the connections of one thread. */
export class HttpFront {
  readonly pools: UpstreamPools;
  readonly #listeners = new Map<string, HttpListener>();
  #isDraining = false;
  /** Those of one route table. */
  readonly #paths = new Map<RouteMatch, ServicePath>();
  #table: RouteTable | null = null;

  constructor(
    readonly context: NativeContext,
    readonly limits: HttpLimits,
  ) {
    this.pools = new UpstreamPools(context, limits.pooledMs);
  }

  /** New settings of a listener, or a new listener. */
  update({ name, redirect, trustedProxies }: GatewayListener): void {
    const listener = this.#listeners.get(name) ?? { name, redirect, isTrusted: () => false };
    listener.redirect = redirect;
    listener.isTrusted =
      trustedProxies.length === 0 ? () => false : buildCidrMatcher(trustedProxies);
    this.#listeners.set(name, listener);
  }

  /** `refusal`: every request of this connection is refused with it. */
  serve(accepted: Accepted, refusal: RefusalCode | null): void {
    const listener = this.#listeners.get(accepted.listener.name);
    if (!listener) throw new Error(`no settings for listener ${accepted.listener.name}`);
    const client = new ClientConnection(this, listener, accepted, refusal);
    client.isLast ||= this.#isDraining;
  }

  /** Null: the service is no more. */
  pathOf(match: RouteMatch, table: RouteTable): ServicePath | null {
    if (this.#table !== table) this.#paths.clear();
    this.#table = table;
    const known = this.#paths.get(match);
    if (known) return known;
    const uses = this.context.host.requestsOf(match.service);
    if (!uses) return null;
    const path = new ServicePath(match, uses, this.pools);
    this.#paths.set(match, path);
    return path;
  }

  /**
   * Ends idle connections of a listener (null: of all), and busy ones after their answer. `keepsIdle`:
   * those that were used a moment ago may bring one more request, which may be on its way.
   */
  closeWhenIdle(listener: string | null, keepsIdle: boolean): void {
    this.#isDraining ||= listener === null;
    for (const client of [...this.context.connections]) {
      if (!(client instanceof ClientConnection)) continue;
      if (listener === null || client.listener.name === listener) client.closeWhenIdle(keepsIdle);
    }
  }
}
