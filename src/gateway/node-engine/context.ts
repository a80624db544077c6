import type { Socket } from 'node:net';
import { Refusal, type RefusalCode } from '../../ipc/refusals.js';
import type { Demand, EngineHost, RouteMatch } from '../engine.js';
import type { Endpoint } from './endpoint.js';
import type { InstanceRegistry } from './instance-registry.js';
import type { EngineLimits } from './limits.js';
import type { ListenerSettings } from './listener-settings.js';
import type { Sweeps } from './sweeps.js';

/** What all parts of the engine share. */
export interface EngineContext {
  readonly host: EngineHost;
  readonly limits: EngineLimits;
  readonly sweeps: Sweeps;
  readonly instances: InstanceRegistry;
}

/** An accepted connection. */
export interface Connection {
  readonly socket: Socket;
  readonly listener: ListenerSettings;
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

/** What the host is asked for on behalf of a connection. */
export function demandOf(connection: Connection, match: RouteMatch): Demand {
  return {
    service: match.service,
    upstream: match.upstream,
    listener: connection.listener.name,
    protocol: connection.listener.protocol,
    source: connection.source.text,
    destination: connection.destination.text,
  };
}

/** Counts and logs why a connection or a request isn't served. */
export function noteRefusal(
  context: EngineContext,
  connection: Pick<Connection, 'listener' | 'source'>,
  code: RefusalCode,
  service: string | null = null,
  detail = '',
): void {
  const { listener, source } = connection;
  context.host.logRefusal({ listener: listener.name, service, source: source.text, code, detail });
}

/** Anything that a host rejected with, as a refusal; null when the client itself went away. */
export function refusalOf(thrown: unknown): Refusal | null {
  if (thrown instanceof Refusal) return thrown;
  if (thrown instanceof Error && thrown.name === 'AbortError') return null;
  return new Refusal(
    'upstream-unreachable',
    null,
    thrown instanceof Error ? thrown.message : String(thrown),
  );
}
