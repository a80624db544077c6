// A web application that does its own TLS: rouse passes its connections through unopened.
// Arguments: NAME PORT CERTIFICATE KEY.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const [name, port, certificate, key] = process.argv.slice(2);
const options = { cert: readFileSync(certificate), key: readFileSync(key) };
const server = createServer(options, (request, response) => {
  const { servername } = request.socket;
  response.end(`hello from ${name}: pid ${process.pid}, you asked TLS for ${servername}\n`);
});
server.listen(Number(port), '127.0.0.1', () => console.log(`${name} listens on ${port}`));
process.on('SIGTERM', () => process.exit(0));
