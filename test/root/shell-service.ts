import net from 'node:net';
import { text } from 'node:stream/consumers';

/** A service that runs one line of shell for each connection and sends back what that prints. */
export function shellService(listener: string, settings: object = {}) {
  return {
    routes: [{ listener }],
    run: { command: ['sh', '-c', 'read -r line; eval "$line" 2>&1; exit 0'] },
    upstream: 'stdio',
    ...settings,
  };
}

/** Runs a line of shell in a shell service, by its port or the path of its socket. */
export async function runInside(address: number | string, line: string): Promise<string> {
  const socket =
    typeof address === 'number' ? net.connect(address, '127.0.0.1') : net.connect(address);
  socket.write(`${line}\n`);
  return text(socket);
}
