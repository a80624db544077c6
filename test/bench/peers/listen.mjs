import { listenIn, openNetworkOf } from '../../../dist/sys/namespaces.js';
import { listenOn, localAddress } from '../../../dist/sys/sockets.js';

const BACKLOG = 4096;

/** A listening socket on 127.0.0.1 in the network of a process, null: in this one's. */
export function listenSomewhere(port, networkPid) {
  const address = { kind: 'inet', host: '127.0.0.1', port };
  if (networkPid === null) return listenOn(address, BACKLOG);
  return listenIn(openNetworkOf(networkPid), address, BACKLOG);
}

export const portOf = (fd) => localAddress(fd).port;
