import type { GatewayListener } from '../../ipc/gateway-config.js';
import { Refusal } from '../../ipc/refusals.js';
import type { NativeLoop } from '../../sys/native-loop.js';
import { formatSocketAddress, type SocketAddress } from '../../sys/socket-address.js';
import type { EngineHost } from '../engine.js';
import type { PipePool } from './pipe-pool.js';

/** What the parts of one thread's engine share. */
export interface NativeContext {
  readonly host: EngineHost;
  readonly loop: NativeLoop;
  readonly pipes: PipePool;
  /** Everything that is open, for the quiet sweep, draining, and the end of an instance. */
  readonly connections: Set<NativeConnection>;
  /** More connections would leave no descriptors for what else is needed. */
  readonly connectionLimit: number;
}

export interface NativeConnection {
  readonly service: string | null;
  readonly instance: number | null;
  /** Of a service to another. */
  readonly isReach: boolean;
  /** Looks whether it has become quiet, or was too slow. */
  sweep(nowMs: number): void;
  destroy(): void;
}

/** An accepted descriptor: whose it is is said by who holds this. */
export interface Accepted {
  readonly fd: number;
  readonly listener: GatewayListener;
  /** `ip:port`, `[ip6]:port` or `unix:`. */
  readonly source: string;
  readonly destination: { readonly ip: string; readonly port: number } | null;
  readonly destinationText: string;
}

/** As users see it in logs; Unix clients have no address. */
export function endpointText(address: SocketAddress | null): string {
  return address?.kind === 'inet' ? formatSocketAddress(address) : 'unix:';
}

/** Anything thrown as a refusal; null when it was the client that left. */
export function refusalOf(thrown: unknown): Refusal | null {
  if (thrown instanceof Refusal) return thrown;
  if (thrown instanceof Error && thrown.name === 'AbortError') return null;
  return new Refusal(
    'upstream-unreachable',
    null,
    thrown instanceof Error ? thrown.message : String(thrown),
  );
}
