import net from 'node:net';
import type { Duplex } from 'node:stream';

const KEEP_ALIVE_MS = 60_000;
const LINGER_MS = 2_000;
const LINGER_BYTES = 1024 * 1024;
/** For the other side to take the last of what is there for it. */
const SEND_MS = 60_000;

/** No delay, keep-alive probes that find dead peers, and a listener so that no error is thrown. */
export function prepareSocket(socket: net.Socket): void {
  socket.on('error', ignore);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
}

function ignore(): void {}

/** Breaks a connection off so that the peer sees an error, not an end (RST; a plain close on Unix sockets). */
export function resetSocket(socket: net.Socket): void {
  if (socket.destroyed) return;
  const isTcp = socket.remoteAddress !== undefined && socket.constructor === net.Socket;
  if (isTcp) socket.resetAndDestroy();
  else socket.destroy();
}

/**
 * Ends the sending side, within `sendMs`, and discards what still comes for a bounded time: a close
 * with unread bytes would be a RST, which can overtake the last words (RFC 9112 9.6).
 */
export function closeLingering(socket: Duplex, lastWords?: Uint8Array, sendMs = SEND_MS): void {
  if (socket.destroyed) return;
  if (lastWords === undefined) socket.end();
  else socket.end(lastWords);
  let leftBytes = LINGER_BYTES;
  socket.removeAllListeners('data');
  socket.on('data', (chunk: Buffer) => {
    leftBytes -= chunk.length;
    if (leftBytes < 0) socket.destroy();
  });
  let timer: NodeJS.Timeout | undefined;
  const closeIn = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => socket.destroy(), ms).unref();
  };
  closeIn(socket.writableFinished ? LINGER_MS : sendMs);
  socket.once('finish', () => closeIn(LINGER_MS));
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
}
