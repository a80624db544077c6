import { DEFAULT_PATH } from './service-environment.js';

/** Where programs are looked up whose service sets no PATH: rouse's own, else the usual one. */
export function systemPath(): string {
  return process.env.PATH || DEFAULT_PATH;
}
