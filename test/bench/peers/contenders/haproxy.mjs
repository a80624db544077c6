import { startOnPort } from './program-on-port.mjs';

const HEAD = `global
  nbthread 1
  maxconn 6000
defaults
  timeout connect 10s
  timeout client 1h
  timeout server 1h
`;

const makeServers = (ports) =>
  ports.map((port, index) => `backend b${index}\n  server s 127.0.0.1:${port}\n`).join('');

const makeTcp = ({ port, backendPorts }) => `${HEAD}
listen in
  mode tcp
  option splice-auto
  bind 127.0.0.1:${port} backlog 4096
  server s 127.0.0.1:${backendPorts[0]}
`;

const makeTls = ({ port, backendPorts, map }) => `${HEAD}
frontend in
  mode tcp
  option splice-auto
  bind 127.0.0.1:${port} backlog 4096
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend %[req.ssl_sni,lower,map_str(${map})]
${makeServers(backendPorts)}`;

// http-reuse always: requests share connections to the servers, as rouse's pool does.
const makeHttp = ({ port, backendPorts, map }) => `${HEAD}
  mode http
  http-reuse always
frontend in
  bind 127.0.0.1:${port} backlog 4096
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header Forwarded "for=%[src];host=%[req.hdr(host)];proto=http;by=\\"%[dst]:%[dst_port]\\""
  use_backend %[req.hdr(host),lower,map_str(${map})]
${makeServers(backendPorts)}`;

const MAKERS = { tcp: makeTcp, tls: makeTls, http: makeHttp };

function makeFile(row, { directory, ...ports }) {
  const lines = (row.hosts ?? []).map((host, index) => `${host} b${index}\n`);
  const map = directory.write('hosts.map', lines.join(''));
  return { name: 'haproxy.cfg', text: MAKERS[row.protocol]({ ...ports, map }) };
}

export const haproxy = {
  name: 'haproxy',
  packages: ['haproxy'],
  program: 'haproxy',
  versionFlag: '-v',
  start: startOnPort(makeFile, (file) => ['haproxy', '-db', '-f', file]),
};
