import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { RouseError } from '../base/errors.js';
import type { Config } from '../config/model.js';
import { RUNTIME_DIR_FLAG } from './client-commands.js';
import type { CommandIo, Finish } from './command-io.js';

import { CONFIG_FLAG, DEFAULT_CONFIG_FILE } from './serve-command.js';
import { readVersion } from './version.js';

/** The commands that only look at a configuration, or at what may stand in one. */
export function addConfigCommands(program: Command, io: CommandIo, finish: Finish): void {
  program
    .command('check')
    .option(...CONFIG_FLAG)
    .option(...RUNTIME_DIR_FLAG)
    .action(async (flags: { config?: string; runtimeDir?: string }) => {
      finish(await check(io, flags));
    });
  program
    .command('schema')
    .option(...RUNTIME_DIR_FLAG)
    .action(async () => {
      const { toJsonSchema } = await import('../config/reference.js');
      io.stdout.write(`${JSON.stringify(toJsonSchema(), null, 2)}\n`);
    });
  // For `npm run reference`: the page is made from the schema and kept with the sources.
  program
    .command('reference', { hidden: true })
    .option('--write', 'Write config/REFERENCE.md')
    .action(async ({ write = false }: { write?: boolean }) => {
      const { renderReference } = await import('../config/reference.js');
      if (!write) return io.stdout.write(renderReference());
      writeFileSync(new URL('../../config/REFERENCE.md', import.meta.url), renderReference());
    });
  // For packages: `man -l` shows them.
  program.command('manual <PAGE>', { hidden: true }).action(async (page: string) => {
    io.stdout.write(await renderPage(program, page));
  });
}

async function renderPage(program: Command, page: string): Promise<string> {
  if (page === 'rouse.1')
    return (await import('./man-page.js')).renderManPage(program, readVersion());
  if (page !== 'rouse.yaml.5') {
    throw new RouseError('usage', `there is no page ${page}; rouse.1 and rouse.yaml.5 are there`);
  }
  const { renderConfigManPage } = await import('../config/man-page.js');
  return renderConfigManPage(readVersion());
}

async function check(
  io: CommandIo,
  flags: { config?: string; runtimeDir?: string },
): Promise<number> {
  const { config: file = DEFAULT_CONFIG_FILE } = flags;
  const { checkMachine, enterWhereServeRuns } = await import('./check-machine.js');
  enterWhereServeRuns();
  const { formatProblem } = await import('../config/problem.js');
  const { loadLocatedConfig } = await import('../config/load.js');
  const result = loadLocatedConfig(file);
  if (result.ok) {
    const { checkSystem } = await import('../config/check.js');
    for (const warning of result.warnings) {
      io.stderr.write(`warning: ${formatProblem(warning)}\n`);
    }
    const problems = checkSystem(result.config, result.locate);
    for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`);
    if (problems.length > 0) return 1;
    io.stdout.write(`${file}: ok (${summarise(result.config)})\n`);
    return checkMachine(io, result.config, flags);
  }
  for (const problem of result.problems) io.stderr.write(`${formatProblem(problem)}\n`);
  return 1;
}

function summarise({ services, listeners }: Config): string {
  return `${count(services.length, 'service')}, ${count(listeners.length, 'listener')}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
