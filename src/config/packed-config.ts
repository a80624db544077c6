import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Config, Route, Run, Service } from './model.js';

/** Services that are unpacked in one go, before other work of the thread gets its turn. */
const BATCH = 250;

/**
 * A configuration on its way from one thread to another: of ten thousand services what they have in
 * common goes once, the rest as text that is read in batches.
 */
export interface PackedConfig {
  readonly rest: Omit<Config, 'services'>;
  /** What rows name by index. */
  readonly parts: readonly unknown[];
  /** JSON of rows. */
  readonly batches: readonly string[];
}

const RUN_PARTS = [
  ...(['command', 'environmentFile', 'user', 'group', 'groups', 'umask', 'nice'] as const),
  'rlimits',
] as const;
const SERVICE_PARTS = [
  ...(['upstreams', 'reach', 'egress', 'ready', 'startTimeoutMs', 'idle', 'stopSignal'] as const),
  ...(['stopTimeoutMs', 'limits', 'access', 'resources', 'isolation', 'cpus'] as const),
] as const;

/** What differs from service to service stands in the row itself. */
type Row = readonly [
  name: string,
  routes: readonly RouteRow[],
  directory: string | null,
  environment: Run['environment'],
  runParts: readonly number[],
  serviceParts: readonly number[],
];

type RouteRow = readonly [
  listener: string | null,
  host: string | null,
  sni: string | null,
  destination: Route['destination'],
  upstream: number,
];

export function packConfig({ services, ...rest }: Config): PackedConfig {
  const parts: unknown[] = [];
  const indexes = new Map<unknown, number>();
  const indexOf = (part: unknown) => {
    const known = indexes.get(part);
    if (known !== undefined) return known;
    indexes.set(part, parts.length);
    return parts.push(part) - 1;
  };
  const toRow = ({ name, routes, run, ...service }: Service): Row => [
    name,
    routes.map(({ listener, host, sni, destination, upstream }) => [
      ...([listener, host, sni, destination, upstream] as const),
    ]),
    run.directory,
    run.environment,
    RUN_PARTS.map((key) => indexOf(run[key])),
    SERVICE_PARTS.map((key) => indexOf(service[key])),
  ];
  const batches: string[] = [];
  for (let from = 0; from < services.length; from += BATCH) {
    batches.push(JSON.stringify(services.slice(from, from + BATCH).map(toRow)));
  }
  return { rest, parts, batches };
}

/** What `packConfig` packed; gives other work of the thread its turn now and then. */
export async function unpackConfig({ rest, parts, batches }: PackedConfig): Promise<Config> {
  const services: Service[] = [];
  for (const batch of batches) {
    if (services.length > 0) await nextTurn();
    for (const row of JSON.parse(batch) as Row[]) services.push(toService(row, parts));
  }
  return { ...rest, services };
}

function toService(row: Row, parts: readonly unknown[]): Service {
  const [name, routes, directory, environment, runParts, serviceParts] = row;
  return {
    name,
    routes: routes.map(([listener, host, sni, destination, upstream]): Route => {
      return { listener, host, sni, destination, upstream };
    }),
    run: { directory, environment, ...take<Run, typeof RUN_PARTS>(RUN_PARTS, runParts, parts) },
    ...take<Service, typeof SERVICE_PARTS>(SERVICE_PARTS, serviceParts, parts),
  };
}

function take<T, K extends readonly (keyof T)[]>(
  keys: K,
  indexes: readonly number[],
  parts: readonly unknown[],
): Pick<T, K[number]> {
  const taken: Partial<Record<keyof T, unknown>> = {};
  for (const [at, key] of keys.entries()) taken[key] = parts[indexes[at] as number];
  return taken as Pick<T, K[number]>;
}
