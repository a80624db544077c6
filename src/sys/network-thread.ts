import { writeFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { closeFd } from './descriptors.js';
import { CLONE_NEWNET, checked, SystemError, setns } from './libc.js';
import { type NetworkRequest, networkSettings } from './network-request.js';
import { createStreamSocket, listenOn } from './sockets.js';

/**
 * The thread that goes into the network namespaces of VPSs to make sockets there. It never goes
 * back: an ordinary user's rouse may not re-enter the host's network, and needn't, since the thread
 * has no other work. The main thread waits for each answer; it comes in shared memory.
 */
const EIO = 5;
const answer = new Int32Array(workerData as SharedArrayBuffer);

function perform(request: NetworkRequest): number[] {
  checked(setns(request.networkFd, CLONE_NEWNET), 'enter the network of a VPS');
  switch (request.kind) {
    case 'prepare':
      for (const [name, value] of networkSettings(request.dialledPorts))
        writeFileSync(`/proc/sys/net/ipv4/${name}`, value);
      return [];
    case 'create':
      return createSockets(request.family, request.count);
    case 'listen':
      return [listenOn(request.address, request.backlog)];
  }
}

/** All, or none. */
function createSockets(family: 'inet' | 'inet6', count: number): number[] {
  const fds: number[] = [];
  try {
    while (fds.length < count) fds.push(createStreamSocket(family));
    return fds;
  } catch (error) {
    for (const fd of fds) closeFd(fd);
    throw error;
  }
}

/** [is it there, errno or 0, count, descriptors …] */
function respond(errno: number, fds: readonly number[]): void {
  answer[1] = errno;
  answer[2] = fds.length;
  answer.set(fds, 3);
  Atomics.store(answer, 0, 1);
  Atomics.notify(answer, 0);
}

parentPort?.on('message', (request: NetworkRequest) => {
  try {
    respond(0, perform(request));
  } catch (error) {
    const code =
      error instanceof SystemError
        ? error.errno
        : Math.abs((error as { errno?: number }).errno ?? EIO);
    respond(code, []);
  }
});
