import { type Command, InvalidArgumentError } from 'commander';
import { AdminClient } from '../admin/client.js';
import { parseDuration } from '../base/duration.js';
import { RouseError } from '../base/errors.js';
import { printableWithColour } from '../base/printable.js';
import type { ReloadReport, ServiceStatus } from '../ipc/admin-api.js';
import type { CommandIo } from './command-io.js';
import { adminSocketPath, resolveDirectories } from './directories.js';
import { renderExplanation, renderIsolation } from './render-explain.js';
import { renderService, renderStatus } from './render-status.js';
import { styleOf } from './render-style.js';
import { renderMs } from './render-time.js';

interface CommonFlags {
  readonly runtimeDir?: string;
}

/** The commands that talk to a running rouse through its admin socket. */
export function addClientCommands(program: Command, io: CommandIo): void {
  addStatus(program, io);
  addChanges(program, io);
  addHold(program, io);
  addSet(program, io);
  addExplain(program, io);
  addLogs(program, io);
  addReload(program, io);
  addUpgrade(program, io);
}

export const RUNTIME_DIR_FLAG = [
  '--runtime-dir <DIR>',
  'Directory of the admin socket and of what is gone at the next boot',
] as const;

function clientOf(io: CommandIo, flags: CommonFlags): AdminClient {
  const { runtimeDir } = resolveDirectories(flags, io.env, io.uid);
  return new AdminClient(adminSocketPath(runtimeDir));
}

function addStatus(program: Command, io: CommandIo): void {
  program
    .command('status')
    .argument('[SERVICE]')
    .option('--json', 'Print one line of JSON')
    .option(...RUNTIME_DIR_FLAG)
    .action(async (name: string | undefined, flags: CommonFlags & { json?: boolean }) => {
      const status = await clientOf(io, flags).status();
      const services = status.services.filter(
        (service) => name === undefined || service.name === name,
      );
      const [first] = services;
      if (name !== undefined && !first) throw unknownService(name, status.services);
      if (flags.json) io.stdout.write(`${JSON.stringify({ ...status, services })}\n`);
      else if (name !== undefined && first) io.stdout.write(renderService(first, styleOf(io)));
      else io.stdout.write(renderStatus(status, styleOf(io)));
    });
}

function unknownService(name: string, services: readonly ServiceStatus[]): RouseError {
  const known = services.slice(0, 10).map((service) => service.name);
  const more = services.length > known.length ? ' …' : '';
  const hint = known.length === 0 ? 'none is configured' : `there are ${known.join(', ')}${more}`;
  return new RouseError('unknown-service', `${name}: no service of this name; ${hint}`);
}

function addChanges(program: Command, io: CommandIo): void {
  program
    .command('wake')
    .argument('<SERVICE>')
    .option('--no-wait', 'Return as soon as the start is under way')
    .option(...RUNTIME_DIR_FLAG)
    .action(async (name: string, flags: CommonFlags & { wait: boolean }) => {
      const service = await clientOf(io, flags).wake(name, { wait: flags.wait });
      io.stdout.write(describeState(service));
    });
  program
    .command('sleep')
    .argument('<SERVICE>')
    .option('--force', 'Close its connections')
    .option(...RUNTIME_DIR_FLAG)
    .action(async (name: string, flags: CommonFlags & { force?: boolean }) => {
      const service = await clientOf(io, flags).sleep(name, { force: flags.force ?? false });
      io.stdout.write(describeState(service));
    });
  for (const action of ['freeze', 'restart'] as const) {
    program
      .command(action)
      .argument('<SERVICE>')
      .option(...RUNTIME_DIR_FLAG)
      .action(async (name: string, flags: CommonFlags) => {
        io.stdout.write(describeState(await clientOf(io, flags)[action](name)));
      });
  }
}

function addHold(program: Command, io: CommandIo): void {
  program
    .command('hold')
    .argument('<SERVICE>')
    .option('--for <DURATION>', 'So long; without it until --release', parseDurationFlag)
    .option('--release', 'End what an earlier hold began')
    .option(...RUNTIME_DIR_FLAG)
    .action(async (name: string, flags: CommonFlags & { for?: number; release?: boolean }) => {
      const client = clientOf(io, flags);
      const service = flags.release
        ? await client.release(name)
        : await client.hold(name, { forMs: flags.for ?? null });
      io.stdout.write(describeState(service));
    });
}

function parseDurationFlag(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs !== null && durationMs > 0) return durationMs;
  throw new InvalidArgumentError('It must be a duration: 30s, 5m, 2h.');
}

function addSet(program: Command, io: CommandIo): void {
  program
    .command('set')
    .argument('<SERVICE>')
    .argument('<KEY=VALUE...>')
    .option(...RUNTIME_DIR_FLAG)
    .action(async (name: string, pairs: readonly string[], flags: CommonFlags) => {
      const limits = Object.fromEntries(pairs.map(parsePair));
      io.stdout.write(describeState(await clientOf(io, flags).set(name, limits)));
    });
}

function parsePair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
  throw new RouseError('usage', `${pair}: write KEY=VALUE, such as memory=512M`);
}

function describeState({ name, state, pid, coldStart }: ServiceStatus): string {
  const details = [
    pid === null ? null : `pid ${pid}`,
    state === 'running' && coldStart.lastMs !== null
      ? `last cold start ${renderMs(coldStart.lastMs)}`
      : null,
  ].filter((text) => text !== null);
  return `${name} is ${state}${details.length ? ` (${details.join(', ')})` : ''}\n`;
}

function addExplain(program: Command, io: CommandIo): void {
  program
    .command('explain')
    .argument('<SERVICE>')
    .option('--isolation', 'Only what is enforced for it, and by what')
    .option(...RUNTIME_DIR_FLAG)
    .action(async (name: string, flags: CommonFlags & { isolation?: boolean }) => {
      const explanation = await clientOf(io, flags).explain(name);
      const style = styleOf(io);
      const text = flags.isolation
        ? `${renderIsolation(explanation, style).join('\n')}\n`
        : renderExplanation(explanation, style);
      io.stdout.write(text);
    });
}

interface LogsFlags extends CommonFlags {
  readonly follow?: boolean;
  readonly lines: number;
}

function addLogs(program: Command, io: CommandIo): void {
  program
    .command('logs')
    .argument('<SERVICE>')
    .option('-f, --follow', 'Go on with what it prints from now on')
    .option('-n, --lines <LINES>', 'Start with the last LINES lines (100)', parseLines, 100)
    .option(...RUNTIME_DIR_FLAG)
    .action(async (name: string, { follow = false, lines, ...flags }: LogsFlags) => {
      const show = io.stdout.isTerminal ? printableWithColour : (line: string) => line;
      const stream = clientOf(io, flags).logs(name, { lines, follow, signal: io.stdout.closed });
      for await (const line of stream) io.stdout.write(`${show(line)}\n`);
    });
}

function parseLines(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number up to 99999.');
}

function addReload(program: Command, io: CommandIo): void {
  program
    .command('reload')
    .option(...RUNTIME_DIR_FLAG)
    .action(async (flags: CommonFlags) => {
      io.stdout.write(describeReload(await clientOf(io, flags).reload()));
    });
}

function addUpgrade(program: Command, io: CommandIo): void {
  program
    .command('upgrade')
    .option(...RUNTIME_DIR_FLAG)
    .action(async (flags: CommonFlags) => {
      const client = clientOf(io, flags);
      await client.upgrade();
      const { from, to, tookMs, reload } = await client.upgraded();
      const versions = from === to ? to : `${to}, from ${from}`;
      io.stdout.write(`upgraded to ${versions}, in ${renderMs(tookMs)}\n${describeReload(reload)}`);
    });
}

function describeReload(report: ReloadReport): string {
  const { added, removed, changed, deferred } = report;
  const kinds: Record<string, readonly string[]> = {
    added,
    removed,
    changed: changed.filter((name) => !deferred.includes(name)),
    'changed at their next start': deferred,
  };
  const lines = Object.entries(kinds)
    .filter(([, names]) => names.length > 0)
    .map(([kind, names]) => `${kind}: ${names.join(', ')}`);
  return `${(lines.length ? lines : ['nothing changed']).join('\n')}\n`;
}
