import { isJournalOnStderr } from './journal-stream.js';

/** Where a command writes. Writing never throws and never ends the process. */
export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Width of the terminal in characters; 80 where there is none. */
  readonly columns: number;
  /** Aborted when the reader went away, as `head` does: further text goes nowhere. */
  readonly closed: AbortSignal;
}

/** All that a command takes from the process that it runs in. */
export interface CommandIo {
  /** Without `node` and the program's path. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** The effective user id. */
  readonly uid: number;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly now: () => Date;
}

/** How a command's action hands back its exit code. */
export type Finish = (exitCode: number) => void;

/** The real thing. */
export function processIo(): CommandIo {
  return {
    argv: process.argv.slice(2),
    env: process.env,
    cwd: process.cwd(),
    uid: process.geteuid?.() ?? 0,
    stdout: createOutput(process.stdout),
    // What is printed there are errors: the journal takes them as such (sd-daemon(3)).
    stderr: createOutput(process.stderr, isJournalOnStderr(process.env) ? '<3>' : ''),
    now: () => new Date(),
  };
}

function createOutput(stream: NodeJS.WriteStream, linePrefix = ''): Output {
  const closed = new AbortController();
  // EPIPE, and EIO of a terminal that was closed: nobody is left to be told.
  stream.on('error', () => closed.abort());
  return {
    write(text) {
      if (!closed.signal.aborted) stream.write(text.replaceAll(/^(?=.)/gm, linePrefix));
    },
    isTerminal: stream.isTTY === true,
    columns: stream.columns ?? 80,
    closed: closed.signal,
  };
}

/** Whether colours are wanted there (no-color.org). */
export function wantsColour(output: Output, env: NodeJS.ProcessEnv): boolean {
  return output.isTerminal && !env.NO_COLOR && env.TERM !== 'dumb';
}
