import type { Config, GatewaySettings } from '../config/model.js';

/** Unchanged services keep their object: what was made for it stays of use. */
export function keepUnchanged(old: Config, config: Config): Config {
  const before = new Map(old.services.map((service) => [service.name, service]));
  const services = config.services.map((service) => {
    const known = before.get(service.name);
    return known && sameSettings(known, service) ? known : service;
  });
  return { ...config, services };
}

function sameSettings(a: object, b: object): boolean {
  return withoutPositions(a) === withoutPositions(b);
}

function withoutPositions(value: object): string {
  return JSON.stringify(value, (key, part) => (key === 'position' ? undefined : part));
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
