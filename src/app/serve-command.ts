import { type Command, Option } from 'commander';
import type { CommandIo, Finish } from './command-io.js';
import { loadPlace } from './load-place.js';
import { addServeFlags, type ServeFlags, serveOrAnswer } from './serve-config.js';

/** Where the configuration is, where -c names no other. */
export const DEFAULT_CONFIG_FILE = '/etc/rouse/rouse.yaml';

export const CONFIG_FLAG = [
  '-c, --config <FILE>',
  `Configuration (${DEFAULT_CONFIG_FILE})`,
] as const;

interface ServeCommandFlags extends ServeFlags {
  readonly config?: string;
  readonly configBase?: string;
}

/** `rouse serve`. */
export function addServeCommand(program: Command, io: CommandIo, finish: Finish): void {
  const command = program
    .command('serve')
    .option(...CONFIG_FLAG)
    // For the library: FILE is JSON, and its relative paths count from DIR.
    .addOption(new Option('--config-base <DIR>').hideHelp());
  addServeFlags(command).action(async (flags: ServeCommandFlags) => {
    const file = flags.config ?? DEFAULT_CONFIG_FILE;
    const base = flags.configBase ?? null;
    const load = () => loadPlace({ file, base });
    finish(await serveOrAnswer(io, load, flags));
  });
}
