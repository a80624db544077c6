import { Counter, Gauge, Registry } from 'prom-client';
import type { ServiceState, ServiceStatus, Status } from '../ipc/admin-api.js';

const STATES: readonly ServiceState[] = [
  'stopped',
  'starting',
  'running',
  'frozen',
  'stopping',
  'failed',
];

/**
 * A status in the text format of Prometheus. The registry is made for each scrape: series of
 * services that a reload removed go with them.
 */
export async function renderMetrics(
  status: Status,
): Promise<{ readonly contentType: string; readonly text: string }> {
  const registry = new Registry();
  addServices(registry, status);
  addListeners(registry, status);
  addGateways(registry, status);
  gauge(registry, 'rouse_uptime_seconds', 'Time since the supervisor started.', []).set(
    status.supervisor.uptimeMs / 1000,
  );
  return { contentType: registry.contentType, text: await registry.metrics() };
}

const SERVICE_GAUGES: readonly [string, string, (service: ServiceStatus) => number][] = [
  ['rouse_connections', 'Relayed and open connections.', (service) => service.connections],
  ['rouse_held', 'Connections that wait for the service to wake.', (service) => service.held],
  ['rouse_requests_in_flight', 'Requests in flight.', (service) => service.requests.inFlight],
];

const SERVICE_COUNTERS: readonly [string, string, (service: ServiceStatus) => number][] = [
  ['rouse_requests_total', 'Requests relayed.', (service) => service.requests.total],
  ['rouse_starts_total', 'Starts of the service.', (service) => service.starts],
  ['rouse_failures_total', 'Starts that failed and crashes.', (service) => service.failures],
];

function addServices(registry: Registry, { services }: Status): void {
  const state = gauge(registry, 'rouse_service_state', '1 for the state that the service is in.', [
    'service',
    'state',
  ]);
  const coldStart = gauge(
    registry,
    'rouse_cold_start_ms',
    'Milliseconds from demand to readiness of a stopped service.',
    ['service', 'quantile'],
  );
  for (const service of services) {
    for (const name of STATES) {
      state.set({ service: service.name, state: name }, name === service.state ? 1 : 0);
    }
    const { p50Ms, p99Ms } = service.coldStart;
    if (p50Ms !== null) coldStart.set({ service: service.name, quantile: '0.5' }, p50Ms);
    if (p99Ms !== null) coldStart.set({ service: service.name, quantile: '0.99' }, p99Ms);
  }
  for (const [name, help, read] of SERVICE_GAUGES) {
    const metric = gauge(registry, name, help, ['service']);
    for (const service of services) metric.set({ service: service.name }, read(service));
  }
  for (const [name, help, read] of SERVICE_COUNTERS) {
    const metric = counter(registry, name, help, ['service']);
    for (const service of services) metric.inc({ service: service.name }, read(service));
  }
}

function addListeners(registry: Registry, { listeners }: Status): void {
  const accepted = counter(registry, 'rouse_listener_accepted_total', 'Connections accepted.', [
    'listener',
  ]);
  const refused = counter(
    registry,
    'rouse_listener_refused_total',
    'Connections and requests refused.',
    ['listener'],
  );
  for (const listener of listeners) {
    accepted.inc({ listener: listener.name }, listener.accepted);
    refused.inc({ listener: listener.name }, listener.refused);
  }
}

function addGateways(registry: Registry, { gateways }: Status): void {
  const restarts = counter(
    registry,
    'rouse_gateway_restarts_total',
    'Gateway processes that died and were replaced.',
    ['gateway'],
  );
  for (const { name, restarts: count } of gateways) restarts.inc({ gateway: name }, count);
}

function gauge(registry: Registry, name: string, help: string, labelNames: string[]): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}

function counter(registry: Registry, name: string, help: string, labelNames: string[]): Counter {
  return new Counter({ name, help, labelNames, registers: [registry] });
}
