// Every process that the comparison starts is started here, and ended here by its pid.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';

const PATIENCE_MS = 120_000;
const SECOND_MS = 1000;

/** What runs: for an end in the middle. */
const running = new Set();
let isClosed = false;

const hasEnded = (child) => child.exitCode !== null || child.signalCode !== null;

async function waitUntilEnded(child, milliseconds) {
  if (hasEnded(child)) return true;
  const signal = AbortSignal.timeout(milliseconds);
  return once(child, 'exit', { signal }).then(
    () => true,
    () => hasEnded(child),
  );
}

/** Counts what was started; after `close` it ends at once. */
function keep(child) {
  running.add(child);
  if (isClosed) child.kill('SIGKILL');
  child.once('exit', () => running.delete(child));
  return child;
}

/** Ends everything that was started, the last first: a helper would miss what it serves. */
export async function stopEverything() {
  for (const child of [...running].reverse()) await end(child);
}

/** For an end in the middle: as `stopEverything`, and nothing starts any more. */
export async function close() {
  isClosed = true;
  while (running.size > 0) await stopEverything();
}

/** Ends a process: asks it to, and kills it when it doesn't. */
async function end(child) {
  if (hasEnded(child)) return;
  child.kill('SIGTERM');
  if (await waitUntilEnded(child, 10 * SECOND_MS)) return;
  child.kill('SIGKILL');
  await waitUntilEnded(child, PATIENCE_MS);
}

/**
 * Starts a program that serves.
 * @param command list
 * @param options `{ directory, environment, inherited }`; `inherited` become its descriptors 3, 4 …
 * @returns `{ pid, output, waitForOutput, stop }`
 */
export function startProgram(command, { directory, environment = {}, inherited = [] } = {}) {
  const [file, ...args] = command;
  const stdio = ['ignore', 'pipe', 'pipe', ...inherited];
  const env = { PATH: process.env.PATH, ...environment };
  const child = keep(spawn(file, args, { cwd: directory, env, stdio }));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-100_000);
      child.emit('text');
    });
  }
  child.once('error', (error) => {
    output += error.message;
  });
  const check = () => {
    if (hasEnded(child) || child.pid === undefined) throw new Error(`${file} ended: ${output}`);
  };
  return {
    pid: child.pid,
    /** Throws when it isn't there any more. */
    check,
    async waitForOutput(pattern) {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      child.once('exit', () => child.emit('text'));
      while (!pattern.test(output)) {
        check();
        await once(child, 'text', { signal });
      }
    },
    stop: () => end(child),
  };
}

/**
 * Starts a module of this directory that answers messages: a process of its own, so that what it does
 * isn't slowed by the others, and no loop of it blocks the comparison.
 * @returns `{ pid, ask, stop }`
 */
export function startHelper(url) {
  const child = keep(fork(url, { execArgv: ['--max-semi-space-size=64'] }));
  let last = Promise.resolve();

  async function exchange(message) {
    const answered = new AbortController();
    const { signal } = answered;
    child.send(message);
    const [answer] = await Promise.race([
      once(child, 'message', { signal }),
      once(child, 'exit', { signal }).then(() => [{ error: 'the helper ended' }]),
    ]).finally(() => answered.abort());
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  return {
    pid: child.pid,
    /** One message after the other; rejects with what the helper threw. */
    ask(message) {
      const answer = last.then(() => exchange(message));
      last = answer.catch(() => {});
      return answer;
    },
    stop: () => end(child),
  };
}
