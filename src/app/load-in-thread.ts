import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { messageOf, RouseError } from '../base/errors.js';
import type { LoadResult } from '../config/load.js';
import { unpackConfig } from '../config/packed-config.js';
import type { ConfigPlace, PackedResult } from './config-place.js';

/**
 * Loads a configuration in a thread of its own, while this one goes on: of ten thousand services
 * that takes half a second and a hundred megabytes, which end with the thread. Rejects with a
 * `RouseError` of code `config` where the thread fails (a file that needs more memory than there is).
 */
export async function loadInThread(place: ConfigPlace): Promise<LoadResult> {
  const thread = new Worker(new URL('./config-thread.js', import.meta.url), {
    workerData: place,
    execArgv: [],
  });
  try {
    const [result] = (await once(thread, 'message')) as [PackedResult];
    return result.ok
      ? { ok: true, warnings: result.warnings, config: await unpackConfig(result.packed) }
      : result;
  } catch (error) {
    throw new RouseError('config', `cannot load ${place.file}: ${messageOf(error)}`);
  } finally {
    await thread.terminate();
  }
}
