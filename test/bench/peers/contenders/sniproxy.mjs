import { startOnPort } from './program-on-port.mjs';

// Its grammar wants a line for each word. Patterns are regular expressions, tried one after the other.
const makePattern = (host) => `^${host.replaceAll('.', '\\.')}$`;

const makeFile = ({ hosts }, { port, backendPorts, directory }) => ({
  name: 'sniproxy.conf',
  text: `user daemon
pidfile ${directory.path}/sniproxy.pid
error_log {
  filename /dev/null
}
listen 127.0.0.1:${port} {
  proto tls
  table all
}
table all {
${hosts.map((host, index) => `  ${makePattern(host)} 127.0.0.1:${backendPorts[index]}`).join('\n')}
}
`,
});

export const sniproxy = {
  name: 'sniproxy',
  packages: ['sniproxy'],
  program: 'sniproxy',
  versionFlag: '-V',
  start: startOnPort(makeFile, (file) => ['sniproxy', '-f', '-n', '19000', '-c', file]),
};
