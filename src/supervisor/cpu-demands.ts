import type { Config } from '../config/model.js';
import type { Capabilities } from './capabilities.js';

/** Of a config, what asks for CPUs of its own. */
type Demanding = Pick<Config, 'services' | 'gateways'>;

function demandsOf(config: Demanding): { what: string; cpus: readonly number[] }[] {
  const { services, gateways } = config;
  return [
    ...services.map(({ name, cpus }) => ({ what: `service ${name}: cpus`, cpus })),
    ...gateways.map(({ name, cpus }) => ({ what: `gateway ${name}: cpus`, cpus })),
  ].filter(({ cpus }) => cpus.length > 0);
}

/** Who asks for CPUs that there aren't: one sentence each. `available`: those that rouse may use. */
export function findMissingCpus(config: Demanding, available: readonly number[]): string[] {
  return demandsOf(config).flatMap(({ what, cpus }) => {
    const missing = cpus.filter((cpu) => !available.includes(cpu));
    if (missing.length === 0) return [];
    return [
      `${what}: there is no CPU ${missing.join(', ')} here; there are ${available.join(', ')}`,
    ];
  });
}

/** Gateways that ask for CPUs of their own where nothing keeps them there: one sentence each. */
export function findUnpinnedGateways(
  gateways: Config['gateways'],
  { cpus }: Capabilities,
): string[] {
  if (cpus.by !== null) return [];
  const why = `cannot be enforced here: ${cpus.reason}; ${cpus.remedy}`;
  return demandsOf({ services: [], gateways }).map(({ what }) => `${what} ${why}`);
}
