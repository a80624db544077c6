import { isDeepStrictEqual } from 'node:util';
import type { Config, GatewaySettings, Listener, Service } from './model.js';

export interface NameDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

/** What a reload changes, by name. */
export interface ConfigDiff {
  readonly listeners: NameDiff & {
    /** Only what takes effect without reopening: access, certificates, redirect, trusted proxies. */
    readonly settingsChanged: readonly string[];
  };
  readonly services: NameDiff & {
    /** Routes, limits, access, idle, egress: take effect at once. A service can be here and in `changed`. */
    readonly routesChanged: readonly string[];
  };
  readonly gateways: NameDiff;
  /** Top-level keys of the model with other values. */
  readonly topLevel: readonly (typeof TOP_LEVEL_KEYS)[number][];
}

const AT_ONCE_SERVICE_KEYS = new Set<keyof Service>([
  'routes',
  'limits',
  'access',
  'idle',
  'egress',
]);
const REOPENING_LISTENER_KEYS = new Set<keyof Listener>(['addresses', 'protocol', 'backlog']);
const TOP_LEVEL_KEYS = [
  ...([
    'enforce',
    'startParallel',
    'drainTimeoutMs',
    'upgradeTimeoutMs',
    'log',
    'admin',
    'metrics',
  ] as const),
];

/** Compares two configurations by value. */
export function diffConfigs(older: Config, newer: Config): ConfigDiff {
  const listeners = pair(older.listeners, newer.listeners);
  const services = pair(older.services, newer.services);
  const gateways = pair(older.gateways, newer.gateways);
  return {
    listeners: {
      ...listeners.names,
      changed: changedIn(listeners.both, (key) => REOPENING_LISTENER_KEYS.has(key)),
      settingsChanged: changedIn(listeners.both, (key) => !REOPENING_LISTENER_KEYS.has(key)),
    },
    services: {
      ...services.names,
      changed: changedIn(services.both, (key) => !AT_ONCE_SERVICE_KEYS.has(key)),
      routesChanged: changedIn(services.both, (key) => AT_ONCE_SERVICE_KEYS.has(key)),
    },
    gateways: { ...gateways.names, changed: changedIn<GatewaySettings>(gateways.both, () => true) },
    topLevel: TOP_LEVEL_KEYS.filter((key) => !isDeepStrictEqual(older[key], newer[key])),
  };
}

interface Pairing<T> {
  readonly names: { readonly added: readonly string[]; readonly removed: readonly string[] };
  readonly both: readonly (readonly [T, T])[];
}

function pair<T extends { readonly name: string }>(
  older: readonly T[],
  newer: readonly T[],
): Pairing<T> {
  const before = new Map(older.map((one) => [one.name, one]));
  const after = new Set(newer.map(({ name }) => name));
  const added: string[] = [];
  const both: [T, T][] = [];
  for (const one of newer) {
    const other = before.get(one.name);
    if (other === undefined) added.push(one.name);
    else both.push([other, one]);
  }
  const removed = [...before.keys()].filter((name) => !after.has(name));
  return { names: { added, removed }, both };
}

function changedIn<T extends { readonly name: string }>(
  pairs: readonly (readonly [T, T])[],
  counts: (key: keyof T) => boolean,
): string[] {
  return pairs
    .filter(([older, newer]) =>
      (Object.keys(newer) as (keyof T)[]).some(
        (key) => counts(key) && !isDeepStrictEqual(older[key], newer[key]),
      ),
    )
    .map(([, { name }]) => name);
}
