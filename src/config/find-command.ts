import { accessSync, constants, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

const USUAL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What is searched where `run.environment` sets no PATH: rouse's own, else the usual one. */
export function systemPath(): string {
  return process.env.PATH || USUAL_PATH;
}

/**
 * The absolute path of a command as execvp(3) finds it: without a slash in `path` (directories with
 * colons in between), with one from `directory`. Null where there is no executable file.
 *
 * @param directory the service's working directory; null: `/`
 */
export function findCommand(
  command: string,
  path: string,
  directory: string | null,
): string | null {
  const base = directory ?? '/';
  if (command === '') return null;
  const candidates = command.includes('/')
    ? [resolve(base, command)]
    : path.split(':').map((entry) => join(resolve(base, entry), command));
  return candidates.find(isExecutableFile) ?? null;
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
