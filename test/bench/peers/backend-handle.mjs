import { startHelper } from './processes.mjs';

/** The backend's process, and where it listens. */
export function startBackend() {
  const helper = startHelper(new URL('./backend.mjs', import.meta.url));
  const peerPorts = new Map();

  /** Listens on a port (0: any) in the network of a process, null: the host's; returns the port. */
  async function listen(kind, service, port, networkPid) {
    return (await helper.ask({ kind, service, port, networkPid })).port;
  }

  async function findPeerPort(kind, service) {
    const key = `${kind} ${service}`;
    if (!peerPorts.has(key)) peerPorts.set(key, await listen(kind, service, 0, null));
    return peerPorts.get(key);
  }

  return {
    listen,
    /** A port of the host for each service of a row: the same ones for all peers. */
    async listenForPeers({ backend, hosts = [''] }) {
      const ports = [];
      for (const index of hosts.keys()) ports.push(await findPeerPort(backend, index));
      return ports;
    },
  };
}
