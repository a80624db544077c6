import { Command, CommanderError } from 'commander';
import { messageOf, RouseError } from '../base/errors.js';
import { printable } from '../base/printable.js';
import { addClientCommands } from './client-commands.js';
import type { CommandIo, Finish } from './command-io.js';
import { addConfigCommands } from './config-commands.js';
import { renderHelp } from './help.js';
import { addInstallUnitsCommand } from './install-units.js';
import { addRunCommand } from './run-command.js';
import { addServeCommand } from './serve-command.js';
import { readVersion } from './version.js';

const EXIT_DONE = 0;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs a command line to its end and resolves with the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function runCommandLine(io: CommandIo): Promise<number> {
  let exitCode = EXIT_DONE;
  const program = createProgram(io, (code) => {
    exitCode = code;
  });
  if (io.argv.length === 0) {
    io.stderr.write(renderHelp(program, io.stderr.columns));
    return EXIT_USAGE;
  }
  try {
    await program.parseAsync([...io.argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return reportUsage(io, program, error);
    return reportError(io, error);
  }
}

function createProgram(io: CommandIo, finish: Finish): Command {
  const program = new Command('rouse');
  program
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: () => {} })
    .configureHelp({ formatHelp: (command) => renderHelp(command, io.stdout.columns) })
    .helpCommand('help [COMMAND]', 'Show the page of a command')
    .helpOption('-h, --help', 'Show this page')
    .version(`rouse ${readVersion()}`, '-V, --version', 'Show the version')
    .showSuggestionAfterError();
  addServeCommand(program, io, finish);
  addRunCommand(program, io, finish);
  addConfigCommands(program, io, finish);
  addClientCommands(program, io);
  addInstallUnitsCommand(program, io);
  program.command('version').action(() => io.stdout.write(`rouse ${readVersion()}\n`));
  return program;
}

/** On standard error in one line (a configuration's problems: one each): what failed, on what, what to do. */
function reportError(io: CommandIo, error: unknown): number {
  const messages = messageOf(error).split('\n');
  for (const message of messages) io.stderr.write(`rouse: ${printable(message)}\n`);
  if (error instanceof RouseError) return error.exitCode;
  if (error instanceof Error && io.env.ROUSE_STACKS) io.stderr.write(`${error.stack}\n`);
  return EXIT_FAILED;
}

function reportUsage(io: CommandIo, program: Command, error: CommanderError): number {
  if (error.exitCode === 0) return EXIT_DONE;
  const message = error.message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim();
  const command = program.commands.find((candidate) => candidate.name() === io.argv[0]);
  const page = command ? `rouse ${command.name()} --help` : 'rouse --help';
  io.stderr.write(`rouse: ${printable(message)}; see ${page}\n`);
  return EXIT_USAGE;
}
