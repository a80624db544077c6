import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { ERROR_TABLE, type ErrorCode } from '../base/errors.js';

/** What is written to the descriptor of `--ready-fd`, and nothing else ever. */
export const READY_LINE = 'READY\n';

/** Writes a short text to a pipe that may have nobody at its other end. */
export function tell(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // Nobody is left to be told.
  }
}

/** Tells the parent with which error the start failed. */
export function tellFailure(fd: number, code: ErrorCode): void {
  tell(fd, `${code}\n`);
}

/** What `tellFailure` told; null while its line isn't complete. */
export function readFailure(text: string): ErrorCode | null {
  const end = text.indexOf('\n');
  if (end < 0) return null;
  const word = text.slice(0, end);
  return Object.hasOwn(ERROR_TABLE, word) ? (word as ErrorCode) : 'system';
}

const SECOND_SIGNAL_MS = 2000;

/**
 * Stops this process when the other end of a socket is closed, as it is when the process that
 * holds it is killed: politely, then as a second SIGTERM does.
 */
export function stopWhenClosed(fd: number): void {
  const parent = openSocket(fd);
  if (!parent) return;
  parent.on('error', () => {});
  parent.once('end', () => {
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.kill(process.pid, 'SIGTERM'), SECOND_SIGNAL_MS).unref();
  });
  parent.resume();
  parent.unref();
}

/** Null where it isn't open: a rouse that re-executed itself is watched over by the first one. */
function openSocket(fd: number): Socket | null {
  try {
    return new Socket({ fd, allowHalfOpen: true });
  } catch {
    return null;
  }
}
