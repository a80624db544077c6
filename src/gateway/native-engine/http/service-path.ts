import type { RequestUses, RouteMatch } from '../../engine.js';
import type { UpstreamPool } from './upstream-pool.js';
import type { UpstreamPools } from './upstream-pools.js';

/** The way to a service that a route leads to: found once for many requests. */
export class ServicePath {
  #pool: UpstreamPool | null = null;
  #instance = -1;

  constructor(
    readonly match: RouteMatch,
    readonly uses: RequestUses,
    private readonly pools: UpstreamPools,
  ) {}

  /** The connections to the route's upstream of this incarnation. */
  poolOf(instance: number): UpstreamPool {
    if (this.#pool === null || this.#pool.isClosed || this.#instance !== instance) {
      const { service, upstream } = this.match;
      this.#pool = this.pools.of(service, instance, upstream);
      this.#instance = instance;
    }
    return this.#pool;
  }
}
