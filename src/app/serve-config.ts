import { rm } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { RouseError } from '../base/errors.js';
import { growYoungGeneration } from '../base/heap.js';
import type { Logger, LogLevel, LogOptions } from '../base/log.js';
import type { LoadResult } from '../config/load.js';
import type { Config } from '../config/model.js';
import { type ConfigProblem, formatProblem } from '../config/problem.js';
import type { Status } from '../ipc/admin-api.js';
import { RUNTIME_DIR_FLAG } from './client-commands.js';
import { type CommandIo, wantsColour } from './command-io.js';
import { renderDemoLines } from './demo-lines.js';
import { prepareDirectories, resolveDirectories } from './directories.js';
import type { EarlierSelf } from './earlier-self.js';
import type { LogFormat } from './log-format.js';
import { READY_LINE, stopWhenClosed, tell, tellFailure } from './parent-pipes.js';
import type { Serve } from './serve-options.js';

/** The flags that `serve` and `run` share. */
export interface ServeFlags {
  readonly runtimeDir?: string;
  readonly stateDir?: string;
  readonly logLevel?: LogLevel;
  readonly logFormat?: LogFormat;
  readonly readyFd?: number;
  readonly parentFd?: number;
  readonly scratch?: string;
  readonly takesState?: string;
}

type Loaded = Extract<LoadResult, { ok: true }>;

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** Adds them; the hidden ones are for the library, which runs rouse as a child. */
export function addServeFlags(command: Command): Command {
  return (
    command
      .option(...RUNTIME_DIR_FLAG)
      .option('--state-dir <DIR>', 'Directory of what services print')
      .addOption(
        new Option(
          '--log-level <LEVEL>',
          `Least level to log, over log.level: ${LOG_LEVELS.join(', ')}`,
        ).choices(LOG_LEVELS),
      )
      .addOption(
        new Option(
          '--log-format <FORMAT>',
          'json, readable (the default on a terminal), or journal (the default under systemd)',
        ).choices(['json', 'readable', 'journal']),
      )
      .addOption(new Option('--ready-fd <FD>').argParser(parseFd).hideHelp())
      .addOption(new Option('--parent-fd <FD>').argParser(parseFd).hideHelp())
      .addOption(new Option('--scratch <DIR>').hideHelp())
      // For an upgrade: see takes-state.ts.
      .addOption(new Option('--takes-state <FORMAT>').hideHelp())
  );
}

function parseFd(text: string): number {
  const fd = Number(text);
  if (Number.isInteger(fd) && fd > 2) return fd;
  throw new InvalidArgumentError('It must be a descriptor above 2.');
}

/** As `serveConfig`, or answers a rouse that asks whether this program could take its place. */
export async function serveOrAnswer(
  io: CommandIo,
  load: () => Promise<LoadResult>,
  flags: ServeFlags,
): Promise<number> {
  if (flags.takesState === undefined) return serveConfig(io, load, flags);
  const { answerTakesState } = await import('./takes-state.js');
  return answerTakesState(io, load, flags.takesState);
}

/**
 * Serves what `load` loads until it is told to stop.
 *
 * @returns the exit code; 1, with every problem on standard error, when the first load fails
 */
export async function serveConfig(
  io: CommandIo,
  load: () => Promise<LoadResult>,
  flags: ServeFlags,
): Promise<number> {
  try {
    const earlier = await takeEarlierSelf(io.env);
    if (earlier) {
      const { config } = earlier.supervisor;
      return await serveLoaded(io, config, null, {
        load,
        flags,
        earlier,
        ...(await importProgram()),
      });
    }
    // Modules and configurations last: see there.
    growYoungGeneration(false);
    const loading = load();
    const program = importProgram();
    program.catch(() => {});
    const first = await loading;
    if (first.ok) {
      const means = { load, flags, earlier: null, ...(await program) };
      return await serveLoaded(io, first.config, first, means);
    }
    if (flags.parentFd !== undefined) tellFailure(flags.parentFd, 'config');
    for (const problem of first.problems) io.stderr.write(`rouse: ${describeProblem(problem)}\n`);
    return 1;
  } catch (error) {
    const code = error instanceof RouseError ? error.code : 'system';
    if (flags.parentFd !== undefined) tellFailure(flags.parentFd, code);
    throw error;
  } finally {
    if (flags.scratch !== undefined) await rm(flags.scratch, { recursive: true, force: true });
  }
}

/** A configuration that was no file has nothing to name but the key. */
function describeProblem(problem: ConfigProblem): string {
  return formatProblem(problem).replace(/^<object>: /, '');
}

interface Program {
  readonly createLog: (options: LogOptions) => Logger;
  readonly serve: Serve;
}

/** What only a supervisor needs, read while the configuration is. */
async function importProgram(): Promise<Program> {
  const [{ createLog }, { serve }] = await Promise.all([
    import('../base/log.js'),
    import('./serve.js') as Promise<{ serve: Serve }>,
  ]);
  return { createLog, serve };
}

/** What an earlier self of this process has handed over; null: there was none. */
async function takeEarlierSelf(env: NodeJS.ProcessEnv): Promise<EarlierSelf | null> {
  return (await import('./earlier-self.js')).takeState(env);
}

interface Means extends Program {
  readonly load: () => Promise<LoadResult>;
  readonly flags: ServeFlags;
  readonly earlier: EarlierSelf | null;
}

async function serveLoaded(
  io: CommandIo,
  config: Config,
  loaded: Loaded | null,
  { load, flags, earlier, createLog, serve }: Means,
): Promise<number> {
  // Given once more, then let go of.
  let first = loaded;
  const next = async () => {
    const result = first ?? (await load());
    first = null;
    return applyToLog(result, flags.logLevel, log);
  };
  const directories = resolveDirectories(flags, io.env, io.uid);
  await prepareDirectories(directories, io.uid);
  const { chooseLog } = await import('./log-format.js');
  const { format, journal } = chooseLog(flags.logFormat, io.stderr.isTerminal, io.env);
  const printReadable = format === 'readable';
  const log = createLog({
    level: flags.logLevel ?? config.log.level,
    name: 'rouse',
    pretty: printReadable,
    ...(journal === null ? {} : { journal }),
    colour: wantsColour(io.stderr, io.env),
  });
  if (flags.parentFd !== undefined) stopWhenClosed(flags.parentFd);
  return serve({
    load: next,
    ...directories,
    log,
    printReadable,
    journal,
    earlier,
    inheritFds: [flags.readyFd, flags.parentFd].filter((fd) => fd !== undefined),
    onReady: (status, served) => {
      // Who waits for the announcement has an introduction of its own.
      if (flags.readyFd !== undefined) tell(flags.readyFd, READY_LINE);
      else if (printReadable) showHowToTry(io, served, status);
    },
  });
}

/** Warnings go to the log, whose level follows the configuration unless a flag sets it. */
function applyToLog(result: LoadResult, level: LogLevel | undefined, log: Logger): LoadResult {
  if (!result.ok) return result;
  for (const warning of result.warnings) log.warn(formatProblem(warning));
  log.level = level ?? result.config.log.level;
  return level === undefined ? result : { ...result, config: withLevel(result.config, level) };
}

function withLevel(config: Config, level: LogLevel): Config {
  return { ...config, log: { ...config.log, level } };
}

function showHowToTry(io: CommandIo, config: Config, status: Status): void {
  for (const line of renderDemoLines(config, status)) io.stderr.write(`${line}\n`);
}
