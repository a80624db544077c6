import type { RouteMatch, Use } from '../engine.js';
import type { EngineContext } from './context.js';
import type { HttpExchange } from './http-exchange.js';
import { createProxy } from './proxy-server.js';
import { RelayedRequest } from './relayed-request.js';
import { UpstreamPool } from './upstream-pool.js';

/** Relays requests, on connections that are kept for each upstream of each instance. */
export class HttpRelay {
  readonly #proxy = createProxy();
  readonly #pools = new Map<string, Map<string, UpstreamPool>>();

  constructor(private readonly context: EngineContext) {}

  relay(exchange: HttpExchange, match: RouteMatch, use: Use): void {
    const pool = this.#poolOf(use.service, use.instance, match.upstream);
    new RelayedRequest(this.#proxy, exchange, match, use, pool).send();
  }

  /** Closes an instance's connections that carry no request. */
  closePooled(service: string, instance: number): void {
    for (const pool of this.#pools.get(keyOf(service, instance))?.values() ?? []) pool.closeIdle();
  }

  #poolOf(service: string, instance: number, upstream: string): UpstreamPool {
    const key = keyOf(service, instance);
    let pools = this.#pools.get(key);
    if (pools === undefined) {
      const created = new Map<string, UpstreamPool>();
      pools = created;
      this.#pools.set(key, created);
      this.context.instances.add(service, instance, () => {
        this.#pools.delete(key);
        for (const pool of created.values()) pool.closeAll();
      });
    }
    const pool = pools.get(upstream) ?? new UpstreamPool(this.context.limits.pooledMs);
    pools.set(upstream, pool);
    return pool;
  }
}

/** Service names have no spaces. */
function keyOf(service: string, instance: number): string {
  return `${service} ${instance}`;
}
