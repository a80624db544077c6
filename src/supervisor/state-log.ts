import type { Logger } from '../base/log.js';
import type { StateEvent } from '../ipc/admin-api.js';
import type { ProcessExit } from '../sys/processes.js';
import { describeExit } from './describe-exit.js';

const QUOTED_LINES = 3;

export interface WakeCause {
  readonly cause: string;
  readonly source: string | null;
  readonly listener: string | null;
}

/** `woken by 127.0.0.1:5432 on web`, `woken by command`. */
export function describeWake({ cause, source, listener }: WakeCause): string {
  return `woken by ${source ?? cause}${source !== null && listener !== null ? ` on ${listener}` : ''}`;
}

/** `idle for 20 ms`, `idle for 1.5 s`. */
export function describeIdle(durationMs: number): string {
  const isShort = durationMs < 1000;
  return `idle for ${isShort ? `${Math.round(durationMs)} ms` : `${Math.round(durationMs / 100) / 10} s`}`;
}

/** One line for each change of a service's state; `ms`: how long a cold start took, `wake`: who woke it last. */
export function logStateChange(
  log: Logger,
  change: StateEvent,
  ms: number | null,
  wake: WakeCause | null,
): void {
  const { service, from, to, reason } = change;
  const names = {
    stopped: 'stop',
    starting: 'wake',
    running: from === 'frozen' ? 'thaw' : 'ready',
    frozen: 'freeze',
    stopping: 'stopping',
    failed: 'fail',
  };
  const isColdStart = to === 'running' && from === 'starting' && ms !== null;
  const isWake = to === 'starting' || names[to] === 'thaw';
  const fields = {
    ...{ service, event: names[to], from, to, reason },
    ...(isColdStart ? { ms } : {}),
    ...(isWake && wake?.listener ? { listener: wake.listener } : {}),
    ...(isWake && wake?.source ? { source: wake.source } : {}),
  };
  if (to === 'stopping') log.debug(fields, `stopping: ${reason}`);
  else if (to === 'failed') log.warn(fields, `failed: ${reason}`);
  else if (to === 'stopped' || to === 'frozen') log.info(fields, `${to}: ${reason}`);
  else if (from === 'frozen') log.info(fields, `thawed: ${reason}`);
  else log.info(fields, reason);
}

/** How an instance that failed ended, with what it printed last. */
export function logExit(
  log: Logger,
  service: string,
  exit: ProcessExit,
  output: readonly string[],
): void {
  const printed =
    output.length > 0 ? `; it printed: ${output.slice(-QUOTED_LINES).join(' | ')}` : '';
  const { code, signal } = exit;
  log.warn({ service, event: 'exit', code, signal, output }, `${describeExit(exit)}${printed}`);
}
