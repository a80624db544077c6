import type { GatewayListener } from '../../ipc/gateway-config.js';
import { Refusal } from '../../ipc/refusals.js';
import type { NativeLoop } from '../../sys/native-loop.js';
import { formatSocketAddress, type SocketAddress } from '../../sys/socket-address.js';
import { AcceptedPeer } from '../../sys/stream-io.js';
import type { EngineHost } from '../engine.js';
import type { PipePool } from './pipe-pool.js';
import type { SpareSockets } from './spare-sockets.js';

/** What the parts of one thread's engine share. */
export interface NativeContext {
  readonly host: EngineHost;
  readonly loop: NativeLoop;
  readonly pipes: PipePool;
  readonly spares: SpareSockets;
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

/** What a client connected to; null: a Unix socket. */
export type Destination = { readonly ip: string; readonly port: number } | null;

/**
 * A connection that `acceptOn` has just accepted; whose its descriptor is is said by who holds this.
 * What is told of it is put into words when somebody asks.
 */
export class Accepted {
  readonly #peer = new AcceptedPeer();
  #source: string | null = null;

  constructor(
    readonly fd: number,
    readonly listener: GatewayListener,
    readonly destination: Destination,
  ) {}

  /** `ip:port`, `[ip6]:port` or `unix:`. */
  get source(): string {
    this.#source ??= endpointText(this.#peer.address);
    return this.#source;
  }

  /** As `source`, of the destination. */
  get destinationText(): string {
    const { destination } = this;
    return endpointText(
      destination && { kind: 'inet', host: destination.ip, port: destination.port },
    );
  }
}

/** As users see it in logs; Unix clients have no address. */
function endpointText(address: SocketAddress | null): string {
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
