import { startProgram } from '../processes.mjs';
import { findFreePort, listTree, makeDirectory, waitForPort } from './place.mjs';

const HEAD = `global
  nbthread 1
  maxconn 6000
defaults
  timeout connect 10s
  timeout client 1h
  timeout server 1h
`;

const makeTcp = (port, [backendPort]) => `${HEAD}
listen in
  mode tcp
  option splice-auto
  bind 127.0.0.1:${port} backlog 4096
  server s 127.0.0.1:${backendPort}
`;

// http-reuse always: requests share connections to the servers, as rouse's pool does.
const makeHttp = (port, ports, map) => `${HEAD}
  mode http
  http-reuse always
frontend in
  bind 127.0.0.1:${port} backlog 4096
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header Forwarded "for=%[src];host=%[req.hdr(host)];proto=http;by=\\"%[dst]:%[dst_port]\\""
  use_backend %[req.hdr(host),lower,map_str(${map})]
${ports.map((each, index) => `backend b${index}\n  server s 127.0.0.1:${each}\n`).join('')}`;

function writeConfig(row, directory, port, backendPorts) {
  if (row.protocol === 'tcp') return makeTcp(port, backendPorts);
  const map = row.hosts.map((host, index) => `${host} b${index}\n`).join('');
  return makeHttp(port, backendPorts, directory.write('hosts.map', map));
}

export const haproxy = {
  name: 'haproxy',
  packages: ['haproxy'],
  program: 'haproxy',
  async start(row, backend) {
    const directory = makeDirectory();
    const port = await findFreePort();
    const ports = await backend.listenForPeers(row);
    const file = directory.write('haproxy.cfg', writeConfig(row, directory, port, ports));
    const program = startProgram(['haproxy', '-db', '-f', file]);
    await waitForPort(port, program);
    return {
      port,
      listPids: () => listTree(program.pid),
      stop: () => program.stop().then(directory.remove),
    };
  },
};
