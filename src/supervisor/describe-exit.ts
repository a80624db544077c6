import type { ProcessExit } from '../sys/processes.js';

/** `exited with code 1`, `ended by SIGKILL`. */
export function describeExit(exit: ProcessExit | null): string {
  if (exit?.signal) return `ended by ${exit.signal}${exit.cause ? `: ${exit.cause}` : ''}`;
  return exit?.code === null || exit === null ? 'ended' : `exited with code ${exit.code}`;
}
