import { createServer } from 'node:http';
import { messageOf } from '../base/errors.js';

const MAX_CONNECTIONS = 16;
const TIMEOUT_MS = 10_000;
/** The version that Prometheus' text format has (prometheus.io/docs/instrumenting/exposition_formats). */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Serves /metrics on a listening socket, which it owns. A gateway does this since it reads what
 * anybody on the network sends; the figures are the supervisor's.
 */
export function serveMetrics(fd: number, collect: () => Promise<string>): void {
  const server = createServer(
    { headersTimeout: TIMEOUT_MS, requestTimeout: TIMEOUT_MS },
    (request, response) => {
      const path = request.url?.split('?')[0];
      request.resume();
      if (path !== '/metrics' || (request.method !== 'GET' && request.method !== 'HEAD')) {
        response.writeHead(path === '/metrics' ? 405 : 404, { allow: 'GET, HEAD' }).end();
        return;
      }
      collect().then(
        (text) => response.writeHead(200, { 'content-type': CONTENT_TYPE }).end(text),
        (error) => response.writeHead(503).end(`${messageOf(error)}\n`),
      );
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', (_error, socket) => socket.destroy());
  server.listen({ fd });
}
