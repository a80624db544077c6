import type { Socket } from 'node:net';
import type { Use } from '../engine.js';
import type { EngineContext } from './context.js';
import { Relay, type RelayOptions } from './relay.js';
import { resetSocket } from './sockets.js';

export interface RelayedSockets extends Pick<RelayOptions, 'quietMs' | 'onClose'> {
  readonly client: Socket;
  readonly upstream: Socket;
  /** Ends with the relay. */
  readonly use: Use;
}

/** Relays two sockets until both are closed, or until the instance is no more. */
export function relaySockets(context: EngineContext, sockets: RelayedSockets): void {
  const { client, upstream, use, quietMs, onClose } = sockets;
  const forget = context.instances.add(use.service, use.instance, () => relay.destroy());
  const relay: Relay = new Relay({
    client: { socket: client, reset: () => resetSocket(client) },
    upstream: { socket: upstream, reset: () => resetSocket(upstream) },
    use,
    quietMs,
    sweeps: context.sweeps,
    onClose: (moved) => {
      forget();
      use.end();
      onClose(moved);
    },
  });
}
