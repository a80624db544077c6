import { spawnSync } from 'node:child_process';
import { RouseError } from '../base/errors.js';
import { closeOnExecFrom } from './descriptors.js';
import { checked, F_SETFD, fcntl, libc } from './libc.js';
import { stringTable } from './string-table.js';

const execve = libc.func('int execve(str, void *, void *)');
const FD_CLOEXEC = 1;

/**
 * Becomes another program (execve(2)): pid and children stay, the other threads end. Descriptors stay
 * only if listed. To be called on the main thread, which the parent-death signals of children follow.
 * Throws a `SystemError`; nothing has changed then.
 */
export function execute(
  command: readonly string[],
  environment: NodeJS.ProcessEnv,
  keepFds: readonly number[],
): never {
  const kept = [0, 1, 2, ...keepFds];
  const pairs = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const tables = [stringTable(command), stringTable(pairs)] as const;
  closeOnExecFrom(3);
  // Node marks even the first three close-on-exec when it starts.
  for (const fd of kept) fcntl(fd, F_SETFD, 0);
  try {
    const result = execve(command[0] as string, tables[0].address, tables[1].address);
    checked(result, `execute ${command[0]}`);
    throw new RouseError('system', 'execve returned');
  } finally {
    for (const fd of kept) fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (const table of tables) table.release();
  }
}

/**
 * As `execute`. `probe` is run first: where it fails, a `RouseError` of code `isolation` and nothing
 * has changed.
 */
export function replaceProcess(
  command: readonly string[],
  environment: NodeJS.ProcessEnv,
  keepFds: readonly number[],
  probe: readonly string[],
): never {
  const [program = '', ...probeArguments] = probe;
  const tried = spawnSync(program, probeArguments, { encoding: 'utf8' });
  if (tried.status !== 0) {
    throw new RouseError(
      'isolation',
      (tried.stderr || tried.error?.message || `${program} failed`).trim(),
    );
  }
  execute(command, environment, keepFds);
}
