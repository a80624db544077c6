import { startBackend } from './backend-handle.mjs';
import { haproxy } from './contenders/haproxy.mjs';
import { nginx } from './contenders/nginx.mjs';
import { rouseNative, rouseNode } from './contenders/rouse.mjs';
import { socketProxyd } from './contenders/socket-proxyd.mjs';
import { startHelper, stopEverything } from './processes.mjs';
import { runRow } from './run-row.mjs';

export { stopEverything };

/** The first one is what the others are compared with. */
export const CONTENDERS = [rouseNative, rouseNode, haproxy, nginx, socketProxyd];

/**
 * Runs rows, one after the other.
 * @param rows of `rows.mjs`
 * @param contenders of `CONTENDERS`, those that can run here
 * @param options `{ rounds, seconds }`
 */
export async function compare(rows, contenders, options, report) {
  const backend = startBackend();
  const client = startHelper(new URL('./load/client.mjs', import.meta.url));
  const results = [];
  try {
    for (const row of rows) {
      const taking = contenders.filter(({ name }) => row.contenders.includes(name));
      const figures = await runRow(row, taking, { backend, client }, options, report);
      results.push({ name: row.name, title: row.title, aims: row.aims, contenders: figures });
    }
  } finally {
    await stopEverything();
  }
  return results;
}
