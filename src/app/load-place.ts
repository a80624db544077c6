import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { messageOf, RouseError } from '../base/errors.js';
import type { LoadResult } from '../config/load.js';
import { unpackConfig } from '../config/packed-config.js';
import type { ConfigPlace, PackedResult } from './config-place.js';

/** So much is read in a few milliseconds: two hundred services. */
const SMALL_BYTES = 64 * 1024;

/**
 * Loads a configuration, a large one in a thread of its own while this one goes on: of ten thousand
 * services that takes half a second and a hundred megabytes, which end with the thread. Rejects with
 * a `RouseError` of code `config` where the thread fails (a file that needs more memory than there
 * is).
 */
export async function loadPlace(place: ConfigPlace): Promise<LoadResult> {
  return (mayBeSmall(place) ? await loadSmall(place) : null) ?? loadInThread(place);
}

/** The modules that read are read themselves only where they are likely to be of use here. */
function mayBeSmall({ file }: ConfigPlace): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) <= SMALL_BYTES;
}

/** Null: it is large, with all that it includes. */
async function loadSmall({ file, base }: ConfigPlace): Promise<LoadResult | null> {
  const { configFromObject, loadSmallConfig } = await import('../config/load.js');
  if (base === null) return loadSmallConfig(file, SMALL_BYTES);
  return configFromObject(JSON.parse(readFileSync(file, 'utf8')), base);
}

async function loadInThread(place: ConfigPlace): Promise<LoadResult> {
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
