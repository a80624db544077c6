import { fileURLToPath } from 'node:url';
import { type ProcessEnd, type ProcessOptions, runToEnd } from '../support/run-process.js';

/** The built program. */
export const PROGRAM = fileURLToPath(new URL('../../dist/app/main.js', import.meta.url));

/** Runs a command line of rouse to its end. */
export function runRouse(args: readonly string[], options?: ProcessOptions): Promise<ProcessEnd> {
  return runToEnd([process.execPath, PROGRAM, ...args], options);
}
