import { RouseError } from '../base/errors.js';
import type { LoadResult } from '../config/load.js';
import { formatProblem } from '../config/problem.js';
import { STATE_FORMAT } from '../supervisor/supervisor-state.js';
import type { CommandIo } from './command-io.js';
import { readVersion } from './version.js';

/**
 * Answers a rouse that asks, before it becomes this program, whether that can take over: it reads
 * the configuration, and a state of this format. See upgrade.ts, which reads the answer.
 *
 * @throws RouseError `upgrade` where it can't
 */
export async function answerTakesState(
  io: CommandIo,
  load: () => Promise<LoadResult>,
  format: string,
): Promise<number> {
  const version = readVersion();
  if (format !== String(STATE_FORMAT)) {
    const what = `rouse ${version} takes over a state of format ${STATE_FORMAT}, not ${format}`;
    throw new RouseError('upgrade', `${what}: restart rouse instead`);
  }
  const result = await load();
  if (!result.ok) throw new RouseError('config', result.problems.map(formatProblem).join('\n'));
  // That all of it is there, native parts included.
  await import('./serve.js');
  io.stdout.write(`takes over as rouse ${version}\n`);
  return 0;
}
