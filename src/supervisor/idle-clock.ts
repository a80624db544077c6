import type { Idle } from '../config/model.js';
import type { ServiceState } from '../ipc/admin-api.js';

export interface IdleDue {
  readonly event: 'freeze-due' | 'stop-due';
  /** On the clock that `lastUseMs` was read from. */
  readonly atMs: number;
}

/**
 * What becomes due next for a service that nobody uses, and when; null: nothing, as long as its
 * state stays. Both stages count from the last use, so freezing doesn't put off the stop. A freeze
 * that would come with the stop or after it never happens.
 */
export function nextIdleDue(
  lastUseMs: number,
  idle: Pick<Idle, 'freezeMs' | 'stopMs'>,
  state: ServiceState,
): IdleDue | null {
  const { freezeMs, stopMs } = idle;
  if (state === 'running' && freezeMs !== null && (stopMs === null || freezeMs < stopMs)) {
    return { event: 'freeze-due', atMs: lastUseMs + freezeMs };
  }
  if ((state === 'running' || state === 'frozen') && stopMs !== null) {
    return { event: 'stop-due', atMs: lastUseMs + stopMs };
  }
  return null;
}
