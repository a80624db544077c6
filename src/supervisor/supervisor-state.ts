import type { Config } from '../config/model.js';
import type { EgressState } from './egress-link.js';
import type { GatewaySetState } from './gateway-set.js';
import type { KeptState } from './kept-descriptors.js';
import type { SocketsState } from './listener-sockets.js';
import type { MachineState } from './machine.js';
import type { ServiceSetState } from './service-set.js';
import type { SupervisorParts } from './supervisor-parts.js';
import type { TrafficState } from './traffic-counters.js';
import type { VpsStoreState } from './vps-store.js';

/**
 * Changes whenever the form of what follows does, the configuration's model included: a program that
 * takes another form can't take over.
 */
export const STATE_FORMAT = 1;

/** All that a supervisor hands to the program that takes its place. */
export interface SupervisorState {
  readonly config: Config;
  readonly generation: number;
  readonly machine: MachineState;
  readonly listeners: SocketsState;
  readonly metrics: SocketsState;
  readonly kept: KeptState;
  /** Of the kept file; null: there is none. */
  readonly recordsSerial: number | null;
  readonly services: ServiceSetState;
  readonly lastInstanceId: number;
  readonly vpsStore: VpsStoreState;
  readonly gateways: GatewaySetState;
  readonly egress: EgressState | null;
  readonly traffic: TrafficState;
}

/** In one step, while all is at rest. */
export function takeSupervisorState(
  parts: SupervisorParts,
  { config, generation }: { readonly config: Config; readonly generation: number },
): SupervisorState {
  return {
    config,
    generation,
    machine: parts.machine.state(),
    listeners: parts.listeners.state(),
    metrics: parts.metrics.state(),
    kept: parts.kept.state(),
    recordsSerial: parts.records.state(),
    services: parts.services.state(),
    lastInstanceId: parts.instances.lastId,
    vpsStore: parts.store.state(),
    gateways: parts.gateways.state(),
    egress: parts.egress.link?.state() ?? null,
    traffic: parts.counters.state(),
  };
}

/** In one step: nothing that happens meanwhile is seen before all is there. */
export function restoreSupervisorState(parts: SupervisorParts, state: SupervisorState): void {
  const { config } = state;
  const { gateways, services } = parts;
  parts.kept.restore(state.kept);
  parts.listeners.restore(state.listeners);
  parts.metrics.restore(state.metrics);
  parts.counters.restore(state.traffic);
  if (state.egress) parts.egress.link?.restore(state.egress);
  parts.instances.goOnFrom(state.lastInstanceId);
  gateways.restore(state.gateways);
  services.restore(config, state.services, {
    findHolder: (key) => gateways.findLane(key),
    restoreWaiter: (driver, waiter) =>
      'epoch' in waiter
        ? (gateways.findLane(`lane ${waiter.epoch}`)?.restoreWaiter(driver, waiter) ?? null)
        : null,
  });
  const byName = new Map(config.services.map((service) => [service.name, service]));
  parts.store.restoreSpares(state.vpsStore, byName);
  parts.records.restore(state.recordsSerial, services.records());
}
