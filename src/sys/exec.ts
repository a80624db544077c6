import { spawnSync } from 'node:child_process';
import { RouseError } from '../base/errors.js';
import { closeOnExecFrom } from './descriptors.js';
import { checked, F_SETFD, fcntl, libc } from './libc.js';
import { stringTable } from './string-table.js';

const execve = libc.func('int execve(str, void *, void *)');

/**
 * Becomes another program (execve(2)): pid and children stay, threads end. Descriptors stay only if
 * listed. `probe` is run first: where it fails, a `RouseError` of code `isolation` and nothing has changed.
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
  closeOnExecFrom(3);
  // Node marks even these close-on-exec when it starts.
  for (const fd of [0, 1, 2, ...keepFds]) fcntl(fd, F_SETFD, 0);
  const argumentTable = stringTable(command);
  const pairs = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  checked(
    execve(command[0] as string, argumentTable.address, stringTable(pairs).address),
    `execute ${command[0]}`,
  );
  throw new RouseError('system', 'execve returned');
}
