import type { LoadResult } from '../config/load.js';
import type { PackedConfig } from '../config/packed-config.js';

/** Where a configuration is. */
export interface ConfigPlace {
  readonly file: string;
  /** Of a file of JSON, for the library: relative paths count from here; null: from the file, which is YAML. */
  readonly base: string | null;
}

/** What the thread that loads it answers. */
export type PackedResult =
  | (Omit<Extract<LoadResult, { ok: true }>, 'config'> & { readonly packed: PackedConfig })
  | Extract<LoadResult, { ok: false }>;
