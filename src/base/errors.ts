/**
 * Every error that rouse reports on purpose, one row each: what it means to a script (exit code).
 * The sentence is built where the error happens, since only there is known what failed, on what,
 * and what to do; it always has these three parts.
 */
export const ERROR_TABLE = {
  usage: { exitCode: 2, meaning: 'the command line is wrong' },
  config: { exitCode: 1, meaning: 'the configuration is wrong' },
  bind: { exitCode: 1, meaning: 'a listener cannot take its address' },
  isolation: {
    exitCode: 1,
    meaning: 'an isolation that the configuration requires cannot be had here',
  },
  running: { exitCode: 1, meaning: 'another rouse uses this runtime directory' },
  'not-running': { exitCode: 1, meaning: 'no rouse answers on the admin socket' },
  'unknown-service': { exitCode: 1, meaning: 'no service of this name is configured' },
  busy: { exitCode: 1, meaning: 'connections are open, or the service may not do this now' },
  start: { exitCode: 1, meaning: 'a service did not start' },
  upgrade: {
    exitCode: 1,
    meaning: 'the program cannot be replaced, or not now; the old one goes on',
  },
  system: { exitCode: 1, meaning: 'a system call failed' },
  protocol: { exitCode: 1, meaning: 'the other side of the control channel broke its rules' },
} as const satisfies Record<string, { exitCode: number; meaning: string }>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** An error with a row in {@link ERROR_TABLE}: `message` is one line for a person. */
export class RouseError extends Error {
  override readonly name = 'RouseError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** What the process exits with when this ends it. */
  get exitCode(): number {
    return ERROR_TABLE[this.code].exitCode;
  }
}

/** The message of anything thrown, in one line. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
