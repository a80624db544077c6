// What the load test starts: replace it by your own server. Environment: PORT.
import { createServer } from 'node:http';

const server = createServer((_request, response) => response.end('hello\n'));
server.keepAliveTimeout = 60_000;
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
