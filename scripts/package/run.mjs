import { execFileSync } from 'node:child_process';
import { ROOT } from '../prepare/root.mjs';

/** Runs a program to its end and returns what it printed; throws with its complaint where it fails. */
export function run(program, args, options = {}) {
  return execFileSync(program, args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  });
}
