import type { ListenerCounters, ServiceCounters } from '../ipc/messages.js';
import type { RefusalCode } from '../ipc/refusals.js';

export interface ServiceTraffic {
  readonly connections: number;
  readonly held: number;
  readonly requestsInFlight: number;
  readonly requestsTotal: number;
  readonly refusals: Readonly<Partial<Record<RefusalCode, number>>>;
}

const NOTHING: ServiceTraffic = {
  connections: 0,
  held: 0,
  requestsInFlight: 0,
  requestsTotal: 0,
  refusals: {},
};

type Epochs<T> = ReadonlyMap<string, ReadonlyMap<string, T>>;

/** What an upgraded supervisor goes on with. */
export interface TrafficState {
  readonly services: Epochs<ServiceCounters>;
  readonly listeners: Epochs<ListenerCounters>;
}

/** What the gateways counted: gauges end with the gateway that reported them, totals stay. */
export class TrafficCounters {
  readonly #services = new Map<string, Map<string, ServiceCounters>>();
  readonly #listeners = new Map<string, Map<string, ListenerCounters>>();

  state(): TrafficState {
    return { services: this.#services, listeners: this.#listeners };
  }

  restore({ services, listeners }: TrafficState): void {
    copy(services, this.#services);
    copy(listeners, this.#listeners);
  }

  /** `epoch` names one life of a gateway: its counters start at 0. */
  report(
    epoch: string,
    services: readonly ServiceCounters[],
    listeners: readonly ListenerCounters[],
  ): void {
    for (const counters of services) put(this.#services, counters.name, epoch, counters);
    for (const counters of listeners) put(this.#listeners, counters.name, epoch, counters);
  }

  /** A gateway ended: its open connections with it; its totals move to those of the past. */
  end(epoch: string): void {
    for (const [name, epochs] of this.#services) {
      const last = epochs.get(epoch);
      epochs.delete(epoch);
      if (last)
        put(
          this.#services,
          name,
          PAST,
          addServices(epochs.get(PAST), { ...last, connections: 0, held: 0, requestsInFlight: 0 }),
        );
    }
    for (const [name, epochs] of this.#listeners) {
      const last = epochs.get(epoch);
      epochs.delete(epoch);
      if (last) put(this.#listeners, name, PAST, addListeners(epochs.get(PAST), last));
    }
  }

  service(name: string): ServiceTraffic {
    return [...(this.#services.get(name)?.values() ?? [])].reduce<ServiceTraffic>(
      (sum, counters) => addServices(sum, counters),
      NOTHING,
    );
  }

  ofGateway(epoch: string, service: string): ServiceTraffic {
    return this.#services.get(service)?.get(epoch) ?? NOTHING;
  }

  listener(name: string): { accepted: number; refused: number } {
    return [...(this.#listeners.get(name)?.values() ?? [])].reduce(
      (sum, { accepted, refused }) => ({
        accepted: sum.accepted + accepted,
        refused: sum.refused + refused,
      }),
      { accepted: 0, refused: 0 },
    );
  }
}

const PAST = '';

function copy<T>(from: Epochs<T>, to: Map<string, Map<string, T>>): void {
  for (const [name, epochs] of from) to.set(name, new Map(epochs));
}

function put<T>(table: Map<string, Map<string, T>>, name: string, epoch: string, value: T): void {
  const epochs = table.get(name) ?? new Map<string, T>();
  epochs.set(epoch, value);
  table.set(name, epochs);
}

function addServices<T extends ServiceTraffic>(sum: ServiceTraffic | undefined, counters: T): T {
  if (!sum) return counters;
  const refusals: Partial<Record<RefusalCode, number>> = { ...sum.refusals };
  for (const [code, count] of Object.entries(counters.refusals) as [RefusalCode, number][]) {
    refusals[code] = (refusals[code] ?? 0) + count;
  }
  return {
    ...counters,
    connections: sum.connections + counters.connections,
    held: sum.held + counters.held,
    requestsInFlight: sum.requestsInFlight + counters.requestsInFlight,
    requestsTotal: sum.requestsTotal + counters.requestsTotal,
    refusals,
  };
}

function addListeners(
  sum: ListenerCounters | undefined,
  counters: ListenerCounters,
): ListenerCounters {
  if (!sum) return counters;
  return {
    name: counters.name,
    accepted: sum.accepted + counters.accepted,
    refused: sum.refused + counters.refused,
  };
}
