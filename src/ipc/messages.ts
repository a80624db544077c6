import { z } from 'zod';
import { REFUSALS, type RefusalCode } from './refusals.js';

/**
 * The control channel's language. A gateway asks, the supervisor checks and answers. What comes from
 * a gateway is parsed strictly: a gateway of this version that says anything else is compromised.
 */
const id = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const name = z.string().min(1).max(64);
const short = z.string().max(512);
const refusalCode = z.enum(Object.keys(REFUSALS) as [RefusalCode, ...RefusalCode[]]);

/** A connection's two ends, for the environment of `stdio` processes. */
const ends = z.strictObject({ source: short, destination: short });

const serviceCounters = z.strictObject({
  name,
  connections: count,
  held: count,
  requestsInFlight: count,
  requestsTotal: count,
  refusals: z.partialRecord(refusalCode, count),
});

const listenerCounters = z.strictObject({ name, accepted: count, refused: count });

export const toSupervisorSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('hello'), version: z.number().int() }),
  /** Every listener of this generation of the configuration takes connections. */
  z.strictObject({ type: z.literal('ready'), generation: id }),
  /** Answered with `granted` or `refused` of this service; asked again only after that. */
  z.strictObject({
    type: z.literal('acquire'),
    service: name,
    listener: name,
    source: short,
    cause: z.enum(['connection', 'request']),
  }),
  /** The lease ends; the last use was `idleMs` milliseconds ago. */
  z.strictObject({ type: z.literal('release'), service: name, instance: id, idleMs: count }),
  /** Answered with `sockets`: unconnected ones of the instance's network. */
  z.strictObject({
    type: z.literal('sockets'),
    id,
    service: name,
    instance: id,
    upstream: short,
    count: z.number().int().min(1).max(128),
  }),
  /** Answered with `dialed`: one connection, made by the supervisor; for `stdio` a process on it. */
  z.strictObject({
    type: z.literal('dial'),
    id,
    service: name,
    instance: id,
    upstream: short,
    ends,
  }),
  /** With one descriptor: an accepted connection for a process of a `stdio` service. Answered with `handed`. */
  z.strictObject({ type: z.literal('hand-over'), id, service: name, listener: name, ends }),
  /** Counters since the gateway started, those that changed since the last report. `id`: asked for. */
  z.strictObject({
    type: z.literal('report'),
    id: id.nullable(),
    services: z.array(serviceCounters).max(256),
    listeners: z.array(listenerCounters).max(256),
    more: z.boolean(),
  }),
  /** Answered with `metrics`. */
  z.strictObject({ type: z.literal('metrics'), id }),
  z.strictObject({ type: z.literal('drained') }),
  /** The answer to `beat`. */
  z.strictObject({ type: z.literal('beat') }),
]);

export type ToSupervisor = z.infer<typeof toSupervisorSchema>;
export type ServiceCounters = z.infer<typeof serviceCounters>;
export type ListenerCounters = z.infer<typeof listenerCounters>;
export type ConnectionEnds = z.infer<typeof ends>;

/** How a gateway gets a connection to one of an instance's upstreams. */
export type DialPlan =
  /** Connect a handed-in socket. */
  | { readonly kind: 'inet'; readonly host: string; readonly port: number }
  /** Ask the supervisor for each connection. */
  | { readonly kind: 'ask' };

export type ToGateway =
  /** With a memfd of a `GatewayConfig`. */
  | { readonly type: 'configure'; readonly generation: number }
  /** With the listening sockets, as many as `addresses`; more packets of one listener add to it. */
  | {
      readonly type: 'listen';
      readonly listener: string;
      readonly addresses: readonly string[];
      readonly last: boolean;
    }
  | { readonly type: 'unlisten'; readonly listener: string }
  /** `plans` by the upstreams' keys. With `connected`: the connection to that upstream that proved the instance ready. */
  | {
      readonly type: 'granted';
      readonly service: string;
      readonly instance: number;
      readonly plans: Readonly<Record<string, DialPlan>>;
      readonly connected: string | null;
    }
  | {
      readonly type: 'refused';
      readonly service: string;
      readonly code: RefusalCode;
      readonly retryAfterMs: number | null;
      readonly detail: string;
    }
  /** With the sockets; none: the instance is gone. */
  | { readonly type: 'sockets'; readonly id: number }
  /** With the connection, or `errno`. */
  | { readonly type: 'dialed'; readonly id: number; readonly errno: number }
  | {
      readonly type: 'handed';
      readonly id: number;
      readonly refusal: {
        readonly code: RefusalCode;
        readonly retryAfterMs: number | null;
        readonly detail: string;
      } | null;
    }
  /** The instance is no more: its connections are to be closed. */
  | { readonly type: 'gone'; readonly service: string; readonly instance: number }
  /** With the socket on which metrics are served. */
  | { readonly type: 'listen-metrics' }
  /** With a memfd of the text. */
  | { readonly type: 'metrics'; readonly id: number }
  /** Releases the service's lease at once where nothing uses it. */
  | { readonly type: 'yield'; readonly service: string }
  | { readonly type: 'report'; readonly id: number }
  /**
   * Takes no new connections and answers `drained` when the last has ended. `keepsReach`: those of
   * services to each other go on. `keepsIdle`: HTTP connections between two requests may bring one
   * more, within a moment.
   */
  | { readonly type: 'drain'; readonly keepsReach: boolean; readonly keepsIdle: boolean }
  /** Answered with `beat`: this thread still turns. */
  | { readonly type: 'beat' };
