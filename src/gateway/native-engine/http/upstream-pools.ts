import type { NativeContext } from '../context.js';
import { type PoolSettings, UpstreamPool } from './upstream-pool.js';

/** Of the connections that a thread may have, at most that share is pooled. */
const IDLE_SHARE = 8;

/** The pools of a thread: one for each upstream of each instance of each service. */
export class UpstreamPools {
  readonly #settings: PoolSettings;
  readonly #services = new Map<string, Map<number, Map<string, UpstreamPool>>>();

  constructor({ loop, connectionLimit }: NativeContext, pooledMs: number) {
    const maxIdle = Math.ceil(connectionLimit / IDLE_SHARE);
    this.#settings = { loop, pooledMs, maxIdle, idle: 0 };
  }

  of(service: string, instance: number, upstream: string): UpstreamPool {
    return (
      this.#services.get(service)?.get(instance)?.get(upstream) ??
      this.#add(service, instance, upstream)
    );
  }

  #add(service: string, instance: number, upstream: string): UpstreamPool {
    const instances = this.#services.get(service) ?? new Map<number, Map<string, UpstreamPool>>();
    this.#services.set(service, instances);
    const pools = instances.get(instance) ?? new Map<string, UpstreamPool>();
    instances.set(instance, pools);
    const pool = new UpstreamPool(this.#settings);
    pools.set(upstream, pool);
    return pool;
  }

  /** Closes an instance's connections that carry no request. */
  closeIdle(service: string, instance: number): void {
    const instances = this.#services.get(service);
    const pools = instances?.get(instance);
    if (!instances || !pools) return;
    for (const [upstream, pool] of pools) {
      pool.closeIdle();
      if (!pool.isEmpty) continue;
      pool.isClosed = true;
      pools.delete(upstream);
    }
    if (pools.size === 0) instances.delete(instance);
    if (instances.size === 0) this.#services.delete(service);
  }

  /** The instance is no more. */
  closeInstance(service: string, instance: number): void {
    const instances = this.#services.get(service);
    const pools = instances?.get(instance);
    instances?.delete(instance);
    if (instances?.size === 0) this.#services.delete(service);
    for (const pool of pools?.values() ?? []) pool.closeAll();
  }

  closeExpired(nowMs: number): void {
    for (const instances of this.#services.values()) {
      for (const pools of instances.values()) {
        for (const pool of pools.values()) pool.closeExpired(nowMs);
      }
    }
  }
}
