import { join } from 'node:path';

/** Where tests keep what they make or fetch once. */
export const CACHE = process.env.XDG_CACHE_HOME
  ? join(process.env.XDG_CACHE_HOME, 'rouse-test')
  : '/var/cache/rouse-test';
