import type { Socket } from 'node:net';

const LINGER_MS = 10_000;

/**
 * Moves bytes both ways between two paused sockets until both are closed: half-close and
 * back-pressure pass through, what breaks off on one side is broken off on the other.
 */
export function tunnel(client: Socket, upstream: Socket): void {
  for (const socket of [client, upstream]) socket.on('error', () => socket.destroy());
  follow(client, upstream);
  follow(upstream, client);
  pipe(client, upstream);
  pipe(upstream, client);
}

/** An end that was seen before the pipe stands has to be passed on by hand. */
function pipe(source: Socket, sink: Socket): void {
  if (source.readableEnded) sink.end();
  else source.pipe(sink);
}

function follow(side: Socket, other: Socket): void {
  const onClose = () => {
    if (!side.readableEnded) breakOff(other);
    // All that it said is on its way; nobody takes what the other still sends.
    else if (!side.writableFinished) discard(other);
  };
  if (side.destroyed) onClose();
  else side.once('close', onClose);
}

/** So that the peer sees an error, not an end. */
export function breakOff(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}

function discard(socket: Socket): void {
  socket.unpipe();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}
