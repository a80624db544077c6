import { isDeepStrictEqual } from 'node:util';
import type { diffConfigs } from '../config/diff.js';
import type { Config, GatewaySettings } from '../config/model.js';
import type { ReloadReport } from '../ipc/admin-api.js';

/** Unchanged services keep their object: what was made for it stays of use. */
export function keepUnchanged(old: Config, config: Config): Config {
  const before = new Map(old.services.map((service) => [service.name, service]));
  const services = config.services.map((service) => {
    const known = before.get(service.name);
    return known && isDeepStrictEqual(known, service) ? known : service;
  });
  return { ...config, services };
}

/** Whether a listener's sockets can stay as they are. */
export function sameListener(old: Config, config: Config, name: string): boolean {
  const find = ({ listeners }: Config) => listeners.find((listener) => listener.name === name);
  const [before, after] = [find(old), find(config)];
  if (!before || !after || before.protocol !== after.protocol) return false;
  return JSON.stringify(before.addresses) === JSON.stringify(after.addresses);
}

/** Whether a gateway's process can go on with the new settings. */
export function sameProcess(a: GatewaySettings, b: GatewaySettings): boolean {
  return (
    a.name === b.name &&
    a.engine === b.engine &&
    a.threads === b.threads &&
    String(a.cpus) === String(b.cpus)
  );
}

/** Ports on which some listener takes IPv4: an IPv6 one on the same port leaves IPv4 to it. */
export function ipv4PortsOf({ listeners }: Config): ReadonlySet<number> {
  const addresses = listeners.flatMap((listener) => listener.addresses);
  return new Set(
    addresses.flatMap((address) =>
      address.kind === 'ip' && address.family === 4 && address.port !== 0 ? [address.port] : [],
    ),
  );
}

/** What a reload did, by name. */
export function describeReload(
  { services, listeners }: ReturnType<typeof diffConfigs>,
  generation: number,
  isAwake: (service: string) => boolean,
): ReloadReport {
  const named = (kind: string, names: readonly string[]) => names.map((name) => `${kind} ${name}`);
  const changed = [...new Set([...services.changed, ...services.routesChanged])];
  return {
    generation,
    added: [...named('listener', listeners.added), ...named('service', services.added)],
    removed: [...named('listener', listeners.removed), ...named('service', services.removed)],
    changed: [...named('listener', listeners.changed), ...named('service', changed)],
    deferred: named('service', services.changed.filter(isAwake)),
  };
}
