// A small web application: says who it is and what it can see of the machine.
// Environment: NAME, PORT.
import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { hostname, networkInterfaces } from 'node:os';

const { NAME = 'web-app', PORT = '3000' } = process.env;
const startedAt = new Date().toLocaleTimeString();
let requests = 0;

const countProcesses = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length;

function describe() {
  requests += 1;
  return [
    `hello from ${NAME}: pid ${process.pid}, started at ${startedAt}, request ${requests}`,
    `what it sees: ${countProcesses()} processes, network interfaces ${Object.keys(networkInterfaces())}, host name ${hostname()}`,
    '',
  ].join('\n');
}

const server = createServer((request, response) => {
  const text = describe();
  const isBrowser = request.headers.accept?.includes('text/html');
  response.setHeader('content-type', isBrowser ? 'text/html; charset=utf-8' : 'text/plain');
  response.end(isBrowser ? `<!doctype html><title>${NAME}</title><pre>${text}</pre>` : text);
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`${NAME} listens on ${PORT}`));
process.on('SIGTERM', () => process.exit(0));
