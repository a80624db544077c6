import { makeCertificate } from './certificate.mjs';
import { makeHosts } from './names.mjs';
import { startHelper } from './processes.mjs';

const TLS_NAMES = 10;

const once = (make) => {
  let made;
  return () => {
    made ??= make();
    return made;
  };
};

/** The backends' processes, each started when the first row needs it, and where they listen. */
export function startBackend() {
  const helperOf = {
    plain: once(() => startHelper(new URL('./backend.mjs', import.meta.url))),
    tls: once(() => startHelper(new URL('./tls-backend.mjs', import.meta.url))),
  };
  const certificate = once(() => makeCertificate(makeHosts(TLS_NAMES)));
  const peerPorts = new Map();

  /** Listens on a port (0: any) in the network of a process, null: the host's; returns the port. */
  async function listen(kind, service, port, networkPid) {
    const request = { kind, service, port, networkPid };
    const answer =
      kind === 'tls'
        ? await helperOf.tls().ask({ ...request, certificate: certificate() })
        : await helperOf.plain().ask(request);
    return answer.port;
  }

  function findPeerPort(kind, service) {
    const key = `${kind} ${service}`;
    if (!peerPorts.has(key)) peerPorts.set(key, listen(kind, service, 0, null));
    return peerPorts.get(key);
  }

  return {
    listen,
    /** A port of the host for each service of a row: the same ones for all peers. */
    async listenForPeers({ backend, hosts = [''] }) {
      if (backend === undefined) return [];
      return Promise.all(Array.from(hosts.keys(), (index) => findPeerPort(backend, index)));
    },
    /** What the load needs to know: whom to trust. */
    describeFor: ({ backend }) => (backend === 'tls' ? { ca: certificate().cert } : {}),
  };
}
