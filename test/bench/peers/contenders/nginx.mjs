import { existsSync } from 'node:fs';
import { startOnPort } from './program-on-port.mjs';

const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

const makeHead = (directory) => `
daemon off;
user nobody nogroup;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${directory.path}/nginx.pid;
error_log stderr error;
events { worker_connections 19000; }
`;

const makeTcp = ({ port, backendPorts: [backendPort] }) => `
stream {
  proxy_timeout 1h;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    proxy_pass 127.0.0.1:${backendPort};
  }
}
`;

const makeTls = ({ port, backendPorts, hosts }) => `
stream {
  proxy_timeout 1h;
  map_hash_bucket_size 128;
  map $ssl_preread_server_name $target {
    ${hosts.map((host, index) => `${host} 127.0.0.1:${backendPorts[index]};`).join('\n    ')}
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ssl_preread on;
    proxy_pass $target;
  }
}
`;

const makeUpstream = (port, index) => `
  upstream u${index} { server 127.0.0.1:${port}; keepalive 64; keepalive_requests 1000000000; }`;

const makeServer = (port, host, index) => `
  server {
    listen 127.0.0.1:${port};
    server_name ${host};
    location / { proxy_pass http://u${index}; }
  }`;

const makeHttp = ({ port, backendPorts, hosts, directory }) => `
http {
  access_log off;
  server_tokens off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path ${directory.path}/body;
  proxy_temp_path ${directory.path}/proxy;
  fastcgi_temp_path ${directory.path}/fastcgi;
  uwsgi_temp_path ${directory.path}/uwsgi;
  scgi_temp_path ${directory.path}/scgi;
  server_names_hash_bucket_size 128;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $host;
  proxy_set_header Forwarded "for=$remote_addr;host=$host;proto=$scheme;by=\\"$server_addr:$server_port\\"";
  ${backendPorts.map(makeUpstream).join('')}
  server { listen 127.0.0.1:${port} default_server backlog=4096; return 404; }
  ${hosts.map((host, index) => makeServer(port, host, index)).join('')}
}
`;

const MAKERS = { tcp: makeTcp, tls: makeTls, http: makeHttp };

function makeFile({ protocol, hosts }, place) {
  const module = protocol === 'http' ? '' : `load_module ${STREAM_MODULE};`;
  const text = module + makeHead(place.directory) + MAKERS[protocol]({ ...place, hosts });
  return { name: 'nginx.conf', text };
}

export const nginx = {
  name: 'nginx',
  packages: ['nginx', 'libnginx-mod-stream'],
  program: 'nginx',
  versionFlag: '-v',
  isComplete: () => existsSync(STREAM_MODULE),
  start: startOnPort(makeFile, (file, { path }) => ['nginx', '-p', path, '-c', file]),
};
