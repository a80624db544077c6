import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | null = null;

/**
 * Collects this thread's garbage now, which gives its pages back to the system. For a thread that
 * has just read something large and will be idle: V8 itself would wait until it needs the room.
 */
export function collectGarbage(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  collect();
}

/** The V8 option of a process that is to start as {@link growYoungGeneration} with `false` leaves it. */
export const SMALL_YOUNG_GENERATION = '--semi-space-growth-factor=1';

/**
 * Whether the young generations of all threads of this process grow with what survives in them, as
 * they do by default. Modules and configurations survive: to load them costs 32 MB of room that is
 * never given back, unless the young generation stays small meanwhile.
 */
export function growYoungGeneration(does: boolean): void {
  setFlagsFromString(does ? '--semi-space-growth-factor=2' : SMALL_YOUNG_GENERATION);
}
