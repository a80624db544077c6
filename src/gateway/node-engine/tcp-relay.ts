import type { Socket } from 'node:net';
import type { RouteMatch, Use } from '../engine.js';
import {
  type Connection,
  demandOf,
  type EngineContext,
  noteRefusal,
  refusalOf,
} from './context.js';
import { relaySockets } from './relay-sockets.js';
import { prepareSocket } from './sockets.js';

/** Serves a connection of a `tcp` listener: routed by its destination at once, without waiting for bytes. */
export async function serveTcp(context: EngineContext, connection: Connection): Promise<void> {
  const { listener, destination, socket } = connection;
  const table = context.host.router.current;
  const match = table.match(listener.name, destination.address, null, null);
  if (match === null) {
    noteRefusal(context, connection, 'no-route');
    socket.destroy();
  } else if (match.upstreamKind === 'stdio') {
    await handOver(context, connection, match);
  } else {
    await relayConnection(context, connection, match, null, null);
  }
}

/**
 * Holds a connection until its service is awake, dials, writes `firstBytes` (those already read from
 * the client), and relays until both sides are closed. Resolves as soon as the relay is under way.
 */
export async function relayConnection(
  context: EngineContext,
  connection: Connection,
  match: RouteMatch,
  name: string | null,
  firstBytes: Uint8Array | null,
): Promise<void> {
  const beganMs = performance.now();
  let use: Use | null = null;
  try {
    use = await acquireUntilClose(context, connection, match);
    const heldMs = performance.now() - beganMs;
    const upstream = await use.dial();
    prepareSocket(upstream);
    startRelay(context, connection, match, { use, upstream, name, firstBytes, beganMs, heldMs });
  } catch (thrown) {
    use?.end();
    const refusal = refusalOf(thrown);
    if (refusal !== null) {
      noteRefusal(context, connection, refusal.code, match.service, refusal.detail);
    }
    connection.socket.destroy();
  }
}

async function acquireUntilClose(
  context: EngineContext,
  connection: Connection,
  match: RouteMatch,
): Promise<Use> {
  const { socket } = connection;
  const abort = new AbortController();
  const onClose = (): void => abort.abort();
  if (socket.destroyed) abort.abort();
  socket.once('close', onClose);
  try {
    return await context.host.acquire(demandOf(connection, match), abort.signal);
  } finally {
    socket.off('close', onClose);
  }
}

interface Established {
  readonly use: Use;
  readonly upstream: Socket;
  readonly name: string | null;
  readonly firstBytes: Uint8Array | null;
  readonly beganMs: number;
  readonly heldMs: number;
}

function startRelay(
  context: EngineContext,
  connection: Connection,
  match: RouteMatch,
  { use, upstream, name, firstBytes, beganMs, heldMs }: Established,
): void {
  const { socket: client } = connection;
  if (firstBytes !== null) upstream.write(firstBytes);
  relaySockets(context, {
    client,
    upstream,
    use,
    quietMs: match.quietMs,
    onClose: ({ bytesIn, bytesOut }) => {
      context.host.logAccess({
        listener: connection.listener.name,
        service: match.service,
        source: connection.source.text,
        destination: connection.destination.text,
        name,
        bytesIn: bytesIn + (firstBytes?.length ?? 0),
        bytesOut,
        durationMs: performance.now() - beganMs,
        heldMs,
      });
    },
  });
}

/**
 * Gives the connection itself to a process. Nothing was read from it, and destroying a socket never
 * shuts it down, so closing our copy afterwards leaves the process's alone.
 */
async function handOver(
  context: EngineContext,
  connection: Connection,
  match: RouteMatch,
): Promise<void> {
  const { socket, listener, source, destination } = connection;
  const beganMs = performance.now();
  try {
    await context.host.handOver(demandOf(connection, match), descriptorOf(socket));
    const heldMs = performance.now() - beganMs;
    context.host.logAccess({
      listener: listener.name,
      service: match.service,
      source: source.text,
      destination: destination.text,
      name: null,
      bytesIn: 0,
      bytesOut: 0,
      durationMs: heldMs,
      heldMs,
    });
  } catch (thrown) {
    const refusal = refusalOf(thrown);
    if (refusal !== null) {
      noteRefusal(context, connection, refusal.code, match.service, refusal.detail);
    }
  } finally {
    socket.destroy();
  }
}

/** Node has no public way to it; -1 when the socket is closed already. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null };
  return handle?.fd ?? -1;
}
