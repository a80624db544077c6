import { startBackend } from './backend-handle.mjs';
import { startHelper, stopEverything } from './processes.mjs';
import { runRow } from './run-row.mjs';

/**
 * Runs rows, one after the other; whatever it started has ended when it settles.
 * @param rows of `rows.mjs`
 * @param contenders of `contenders.mjs`, those that can run here
 * @param options as `runRow` takes them
 */
export async function compare(rows, contenders, options, report) {
  const backend = startBackend();
  const client = startHelper(new URL('./load/client.mjs', import.meta.url));
  const results = [];
  try {
    for (const row of rows) {
      const taking = contenders.filter(({ name }) => row.contenders.includes(name));
      const figures = await runRow(row, taking, { backend, client }, options, report);
      const { name, title, metric, aims } = row;
      results.push({ name, title, metric, aims, contenders: figures });
    }
  } finally {
    await stopEverything();
  }
  return results;
}
