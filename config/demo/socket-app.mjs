// A web application that inherits its listening socket (sd_listen_fds(3)): descriptor 3.
import { createServer } from 'node:http';

const { LISTEN_FDS, LISTEN_PID } = process.env;
if (LISTEN_FDS === undefined || Number(LISTEN_PID) !== process.pid) {
  console.error('no socket was handed to this process; start it with `upstream: socket`');
  process.exit(1);
}
const server = createServer((_request, response) => {
  response.end(`hello from socket-app: pid ${process.pid}, on the socket that I inherited\n`);
});
server.listen({ fd: 3 }, () => console.log('socket-app took over its socket'));
process.on('SIGTERM', () => process.exit(0));
