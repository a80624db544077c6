import { Agent, request } from 'node:http';
import { Socket } from 'node:net';
import { messageOf, RouseError } from '../base/errors.js';
import type { Service } from '../config/model.js';
import { closeFd } from '../sys/descriptors.js';
import { errnoName } from '../sys/libc.js';
import type { Notification } from './notify-socket.js';
import type { Dialed } from './upstream-dialer.js';

/** The first tries come every millisecond, later ones further apart: a server is ready when it is. */
const FIRST_DELAY_MS = 1;
const MAX_DELAY_MS = 50;
const GROWTH = 1.15;
const HTTP_TIMEOUT_MS = 5000;
const HEAD_LIMIT_BYTES = 16 * 1024;

export interface ReadinessMeans {
  /** Ends the waiting; with a {@link NotReady} where the time is up. */
  readonly signal: AbortSignal;
  /** From now on the service has so long. */
  readonly extend: (durationMs: number) => void;
  readonly dial: () => Promise<Dialed>;
  /** Who hears what the service says on its notify socket. */
  readonly onNotification: (listener: (notification: Notification) => void) => void;
}

/** Waits until a service is ready; the connection that proved it, which is the caller's, or null. */
export async function untilReady(
  { ready, name }: Pick<Service, 'ready' | 'name'>,
  means: ReadinessMeans,
): Promise<number | null> {
  const { dial, signal } = means;
  if (ready.kind === 'notify') await untilNotified(means);
  if (ready.kind === 'connect') return untilConnects(dial, signal);
  if (ready.kind === 'http') await untilHttpAnswers(dial, ready.path, name, signal);
  return null;
}

function untilNotified({ signal, extend, onNotification }: ReadinessMeans): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    onNotification((notification) => {
      const extendUs = Number(notification.EXTEND_TIMEOUT_USEC);
      if (extendUs > 0) extend(Math.min(extendUs / 1000, 2 ** 31 - 1));
      if (notification.READY === '1') resolve();
    });
  });
}

/**
 * Dials until a connection succeeds, which is returned: it is a connection like any, and serves the
 * first client. Rejects only with the signal's reason, which then names the last error.
 */
async function untilConnects(dial: () => Promise<Dialed>, signal: AbortSignal): Promise<number> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(MAX_DELAY_MS, delayMs * GROWTH)) {
    signal.throwIfAborted();
    const dialed = await dial();
    if ('fd' in dialed) return dialed.fd;
    await pause(delayMs, signal, `last try: ${errnoName(dialed.errno)}`);
  }
}

/** Asks for a path until the answer is 2xx or 3xx (each try on a connection of its own). */
async function untilHttpAnswers(
  dial: () => Promise<Dialed>,
  path: string,
  host: string,
  signal: AbortSignal,
): Promise<void> {
  let lastStatus: number | null = null;
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(MAX_DELAY_MS, delayMs * GROWTH)) {
    const fd = await untilConnects(dial, signal).catch((error) => {
      throw error instanceof NotReady && lastStatus !== null ? notReady(lastStatus) : error;
    });
    const status = await statusOf(fd, path, host, signal);
    if (status !== null && status >= 200 && status < 400) return;
    lastStatus = status ?? lastStatus;
    await pause(delayMs, signal, notReady(lastStatus).message);
  }
}

/** What the start was waiting for when its time was up. */
export class NotReady extends Error {
  override readonly name = 'NotReady';
}

function notReady(lastStatus: number | null): NotReady {
  return new NotReady(`last answer: ${lastStatus ?? 'none'}`);
}

function pause(delayMs: number, signal: AbortSignal, lastTry: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason instanceof NotReady ? new NotReady(lastTry) : signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

function statusOf(
  fd: number,
  path: string,
  host: string,
  signal: AbortSignal,
): Promise<number | null> {
  return new Promise((resolve) => {
    const socket = new Socket({ fd });
    const agent = new Agent({ keepAlive: false });
    agent.createConnection = () => socket;
    const probe = request({
      agent,
      path,
      headers: { host, connection: 'close' },
      maxHeaderSize: HEAD_LIMIT_BYTES,
    });
    const giveUp = () => settle(null);
    const settle = (status: number | null) => {
      signal.removeEventListener('abort', giveUp);
      probe.destroy();
      socket.destroy();
      resolve(status);
    };
    // A service that drips bytes would outlive every time-out of a socket.
    signal.addEventListener('abort', giveUp, { once: true });
    probe.setTimeout(HTTP_TIMEOUT_MS, giveUp);
    probe.once('response', (response) => settle(response.statusCode ?? null));
    probe.on('error', giveUp);
    probe.end();
  });
}

/** Why a start failed, as a `RouseError` of code `start`. */
export function describeStartError(error: unknown, startTimeoutMs: number): RouseError {
  if (error instanceof NotReady) {
    const seconds = startTimeoutMs / 1000;
    return new RouseError('start', `not ready within ${seconds} s (${error.message})`);
  }
  return error instanceof RouseError
    ? error
    : new RouseError('start', messageOf(error), { cause: error });
}

/** A connection that comes too late is nobody's. */
export function closeWhenThere(connection: Promise<number | null> | null): void {
  connection?.then(
    (fd) => {
      if (fd !== null) closeFd(fd);
    },
    () => {},
  );
}
