import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Where the servers are that the benchmarks use. */
export const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));

/**
 * Starts a fixture without rouse, on a port of the kernel's choice.
 * @returns `{ port, listenMs, stop }`; `listenMs`: from just before the start until it said that it listens
 */
export async function startDirectly(command) {
  const startedMs = performance.now();
  const [file, ...args] = command;
  const child = spawn(file, args, {
    cwd: FIXTURES,
    // As bare as that of a service: NODE_EXTRA_CA_CERTS alone costs Node 100 ms.
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  const listenMs = performance.now() - startedMs;
  child.stdout.resume();
  const stop = async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  return { port: Number(/listening on (\d+)/.exec(text)?.[1]), listenMs, stop };
}
