import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { configFromObject, type LoadResult, loadConfig } from '../config/load.js';
import { packConfig } from '../config/packed-config.js';
import type { ConfigPlace, PackedResult } from './config-place.js';

/** The thread that loads a configuration and ends: what that took goes with it. */
function load({ file, base }: ConfigPlace): LoadResult {
  return base === null
    ? loadConfig(file)
    : configFromObject(JSON.parse(readFileSync(file, 'utf8')), base);
}

function pack(result: LoadResult): PackedResult {
  if (!result.ok) return result;
  const { warnings } = result;
  return { ok: true, warnings, packed: packConfig(result.config) };
}

parentPort?.postMessage(pack(load(workerData as ConfigPlace)));
