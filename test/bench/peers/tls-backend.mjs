// The TLS servers behind all contenders: a process of its own, since it lives in Node's loop and the
// other backend in one of its own.
import { createServer } from 'node:tls';
import { answerMessages } from './answer-messages.mjs';
import { listenSomewhere, portOf } from './listen.mjs';

/** Answers a line by the service and the same line. */
function listen({ service, port, networkPid, certificate }) {
  const server = createServer(certificate, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (line) => socket.end(`service ${service}: ${line}`));
  });
  server.on('tlsClientError', () => {});
  const fd = listenSomewhere(port, networkPid);
  server.listen({ fd });
  return { port: portOf(fd) };
}

answerMessages(listen);
