import { messageOf, RouseError } from '../base/errors.js';
import { STATE_FORMAT, type SupervisorState } from '../supervisor/supervisor-state.js';
import { closeOnExecFrom, createMemfd, readMemfdBytes } from '../sys/descriptors.js';
import { decodeState, descriptorsIn, encodeState } from './state-encoding.js';

/** The variable with the descriptor of the state that an earlier self of this process has left. */
export const STATE_VARIABLE = 'ROUSE_STATE_FD';

/** What an earlier self of this process has handed over: see upgrade.ts. */
export interface EarlierSelf {
  readonly format: number;
  /** Its version, and the one that was expected to take over. */
  readonly from: string;
  readonly to: string;
  /** When the upgrade began, and when the first of all selves did, by the wall clock. */
  readonly atMs: number;
  readonly startedAtMs: number;
  readonly lockFd: number;
  readonly adminFd: number;
  readonly inheritFds: readonly number[];
  readonly supervisor: SupervisorState;
}

/** Puts the state where the next program finds it: the descriptor of it, the caller's, and all that are to be kept. */
export function passState(state: EarlierSelf): { fd: number; keepFds: readonly number[] } {
  const fd = createMemfd('rouse-state', encodeState(state));
  return { fd, keepFds: [fd, ...descriptorsIn(state)] };
}

/** What an earlier self has handed over to this program; null: there was none. Throws where it can't be read. */
export function takeState(environment: NodeJS.ProcessEnv): EarlierSelf | null {
  const fd = environment[STATE_VARIABLE];
  if (fd === undefined) return null;
  delete environment[STATE_VARIABLE];
  // None of them is for a child of this process.
  closeOnExecFrom(3);
  try {
    const state = decodeState(readMemfdBytes(Number(fd))) as EarlierSelf;
    if (state.format === STATE_FORMAT) return state;
    throw new Error(`it has format ${state.format}, not ${STATE_FORMAT}`);
  } catch (error) {
    throw new RouseError(
      'upgrade',
      `the state of the program before this one: ${messageOf(error)}`,
    );
  }
}
