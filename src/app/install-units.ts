import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { messageOf, RouseError } from '../base/errors.js';
import { RUNTIME_DIR_FLAG } from './client-commands.js';
import type { CommandIo } from './command-io.js';
import { planUnits, removeUnits, type UnitFile, writeUnits } from './unit-files.js';

const SOURCE = fileURLToPath(new URL('../../systemd', import.meta.url));
const PROGRAM = fileURLToPath(new URL('./main.js', import.meta.url));
const UNIT_DIRECTORY = '/etc/systemd/system';
/** There where systemd runs this machine, sd_booted(3). */
const SYSTEMD_RUNS = '/run/systemd/system';
const WHAT_HAPPENS = {
  missing: 'would be written',
  different: 'would be replaced',
  same: 'is there already',
  foreign: 'is not ours: it stays, and --write refuses',
};

interface Flags {
  readonly write?: boolean;
  readonly remove?: boolean;
  readonly directory: string;
}

/** `rouse install-units`. */
export function addInstallUnitsCommand(program: Command, io: CommandIo): void {
  program
    .command('install-units')
    .option('--write', 'Write them, and tell systemd')
    .option('--remove', 'Remove those that were written')
    .option('--directory <DIR>', `Where units go (${UNIT_DIRECTORY})`, UNIT_DIRECTORY)
    .option(...RUNTIME_DIR_FLAG)
    .action((flags: Flags) => installUnits(io, flags));
}

function installUnits(io: CommandIo, { write, remove, directory }: Flags): void {
  if (write && remove) throw new RouseError('usage', '--write and --remove exclude each other');
  const units = planUnits(SOURCE, directory, [process.execPath, PROGRAM]);
  if (remove) return removeAndTell(io, units, directory);
  if (!write) return show(io, units);
  try {
    writeUnits(units);
  } catch (error) {
    if (error instanceof RouseError) throw error;
    throw new RouseError('system', `units were not written: ${messageOf(error)}`, { cause: error });
  }
  for (const { path, state } of units)
    io.stdout.write(`${path}: ${state === 'same' ? 'was there already' : 'written'}\n`);
  reloadSystemd(directory);
  io.stdout.write('next: write /etc/rouse/rouse.yaml, then systemctl enable --now rouse.service\n');
}

function show(io: CommandIo, units: readonly UnitFile[]): void {
  for (const { path, content, state } of units) {
    io.stdout.write(`# ${path} ${WHAT_HAPPENS[state]}\n`);
    if (state === 'missing' || state === 'different') io.stdout.write(`${content.trimEnd()}\n\n`);
  }
  io.stdout.write('# nothing was written; rouse install-units --write does\n');
}

function removeAndTell(io: CommandIo, units: readonly UnitFile[], directory: string): void {
  const removed = removeUnits(units);
  for (const path of removed) io.stdout.write(`${path}: removed\n`);
  if (removed.length === 0) io.stdout.write(`${directory}: no unit of rouse install-units there\n`);
  else reloadSystemd(directory);
}

/** Units elsewhere are no business of the systemd that runs here. */
function reloadSystemd(directory: string): void {
  if (directory !== UNIT_DIRECTORY || !existsSync(SYSTEMD_RUNS)) return;
  const { status, stderr } = spawnSync('systemctl', ['daemon-reload'], { encoding: 'utf8' });
  if (status === 0) return;
  throw new RouseError(
    'system',
    `systemctl daemon-reload: ${stderr.trim() || 'failed'}; run it yourself`,
  );
}
