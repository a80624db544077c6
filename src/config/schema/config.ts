import * as z from 'zod';
import { key } from './key.js';
import { listener } from './listener.js';
import { service } from './service.js';
import { cidr, cpuList, duration, filledText, listenAddress, name, reference } from './values.js';

/** The engine of gateways that name none. */
export const DEFAULT_ENGINE: 'native' | 'node' = 'native';

export const gateway = z.strictObject({
  listeners: key(
    z.array(reference).optional(),
    'gateway restarts',
    'Its listeners; every listener belongs to exactly one gateway.',
    'all that no other gateway names',
  ),
  engine: key(
    z.enum(['native', 'node']).prefault(DEFAULT_ENGINE),
    'gateway restarts',
    'How it moves bytes; `https` always runs on `node`.',
  ),
  threads: key(
    z.int().min(1).max(256).prefault(1),
    'gateway restarts',
    'Threads of the native engine; `limits` count in each of them.',
  ),
  cpus: key(cpuList.prefault([]), 'gateway restarts', 'CPUs that it may run on, by number.', 'all'),
});

const log = z.strictObject({
  level: key(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).prefault('info'),
    'at once',
    'The least important messages that are logged.',
  ),
  access: key(z.boolean().prefault(false), 'at once', 'Logs every request and every connection.'),
});

const admin = z.strictObject({
  group: key(
    filledText.optional(),
    'restart of rouse',
    'Group whose members may use the admin socket.',
    'only root and the user rouse runs as',
  ),
});

const metrics = z.strictObject({
  address: key(
    listenAddress,
    'restart of rouse',
    'Where metrics are served over HTTP for Prometheus.',
  ),
});

/** Top-level keys that an included file may hold too. */
export const INCLUDABLE_KEYS = ['include', 'listeners', 'services', 'gateways'] as const;

export const config = z.strictObject({
  include: key(
    z.array(z.string().min(1).meta({ form: 'path or glob' })).prefault([]),
    'at once',
    'Other files, with `*`, `?` and `[…]` in names; they may hold `include`, `listeners`, `services` and `gateways`.',
  ),
  listeners: key(
    z.record(name, listener).prefault({}),
    'at once',
    'Where clients connect, by name.',
  ),
  services: key(
    z.record(name, service).prefault({}),
    'at once',
    'What rouse starts and stops, by name.',
  ),
  defaults: key(
    service.optional(),
    'at once',
    "Any key of a service, for services that don't set it; maps merge key by key, lists are replaced, `idle.freeze` and `idle.stop` go together.",
  ),
  gateways: key(
    z.record(name, gateway).optional(),
    'gateway restarts',
    'The processes that face clients, by name.',
    '`main` with all listeners',
  ),
  trusted_proxies: key(
    z.array(cidr).prefault([]),
    'at once',
    "Clients whose X-Forwarded-* and Forwarded headers are believed, for listeners that don't say.",
  ),
  enforce: key(
    z.enum(['required', 'best-effort', 'none']).prefault('required'),
    'restart of rouse',
    "What happens where an isolation or a limit can't be had: `required`: an error; `best-effort`: a warning; `none`: it isn't tried.",
  ),
  start_parallel: key(
    z.int().min(1).max(10_000).optional(),
    'at once',
    'How many services may be starting at the same time.',
    '2 per CPU',
  ),
  drain_timeout: key(
    duration.prefault('30s'),
    'at once',
    'How long connections may take to end when rouse stops, or when a gateway is replaced. systemd waits for it, whatever `TimeoutStopSec=` says.',
  ),
  upgrade_timeout: key(
    duration.prefault('24h'),
    'at once',
    'How long connections that are open when rouse is upgraded may go on in the gateway that has them; new ones go to its successor.',
  ),
  log: key(log.prefault({}), 'at once', 'What is logged.'),
  admin: key(admin.prefault({}), 'restart of rouse', 'The admin socket.'),
  metrics: key(metrics.optional(), 'restart of rouse', 'Metrics for Prometheus.', 'none'),
});

/** The top level alone: what its maps hold is checked entry by entry. */
export const topLevel = config.extend({
  listeners: z.record(name, z.unknown()).prefault({}),
  services: z.record(name, z.unknown()).prefault({}),
  gateways: z.record(name, z.unknown()).optional(),
  defaults: z.unknown().optional(),
});

export type TopLevelShape = z.output<typeof topLevel>;
export type GatewayShape = z.output<typeof gateway>;
