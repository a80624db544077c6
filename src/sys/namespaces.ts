import { closeSync, openSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { exitNow, SystemError } from './libc.js';
import { MAX_SOCKETS, type NetworkRequest } from './network-request.js';
import type { SocketAddress } from './socket-address.js';

/** A healthy answer takes microseconds; without one the thread is lost, and so is the supervisor. */
const ANSWER_TIMEOUT_MS = 30_000;

let worker: Worker | null = null;
const answer = new Int32Array(new SharedArrayBuffer(4 * (3 + MAX_SOCKETS)));

/** The first call starts the thread, and waits for it. */
function startNetworkThread(): void {
  worker ??= new Worker(new URL('./network-thread.js', import.meta.url), {
    workerData: answer.buffer,
    execArgv: [],
  });
  worker.unref();
}

function ask(request: NetworkRequest, what: string): number[] {
  startNetworkThread();
  Atomics.store(answer, 0, 0);
  worker?.postMessage(request);
  // A late answer would be taken for the next one's: another service's sockets.
  if (Atomics.wait(answer, 0, 0, ANSWER_TIMEOUT_MS) === 'timed-out') exitNow(70);
  const [, errno = 0, count = 0] = answer;
  if (errno !== 0) throw new SystemError(what, errno);
  return [...answer.subarray(3, 3 + count)];
}

/** A descriptor of a process's network namespace: keeps it in being, and leads into it. */
export function openNetworkOf(pid: number): number {
  return openSync(`/proc/${pid}/ns/net`, 'r');
}

/** Closes what `openNetworkOf` opened. */
export function closeNetwork(networkFd: number): void {
  closeSync(networkFd);
}

/** Sets up a fresh network for services whose `dialledPorts` are dialled from outside. Throws a `SystemError`. */
export function prepareNetwork(networkFd: number, dialledPorts: readonly number[]): void {
  ask({ kind: 'prepare', networkFd, dialledPorts }, 'set up the network of a VPS');
}

/**
 * Unconnected stream sockets of a network namespace (setns(2)): they belong there for good, whoever
 * holds them. At most 128. Throws a `SystemError`.
 */
export function createSocketsIn(
  networkFd: number,
  family: 'inet' | 'inet6',
  count: number,
): number[] {
  return ask(
    { kind: 'create', networkFd, family, count },
    'create sockets in the network of a VPS',
  );
}

/** A listening socket in a network namespace. Throws a `SystemError`. */
export function listenIn(networkFd: number, address: SocketAddress, backlog: number): number {
  return ask(
    { kind: 'listen', networkFd, address, backlog },
    'listen in the network of a VPS',
  )[0] as number;
}
