import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { RouseError } from '../base/errors.js';
import type { CommandIo, Finish } from './command-io.js';

import { STATE_VARIABLE } from './earlier-self.js';
import { addServeFlags, type ServeFlags, serveConfig, serveOrAnswer } from './serve-config.js';

/** What the command line of `rouse run` says about the service. */
export interface RunFlags extends ServeFlags {
  readonly listen: readonly string[];
  readonly protocol: string;
  readonly upstream: string;
  readonly idle?: string;
  readonly ready?: string;
  readonly engine?: string;
  readonly env: readonly string[];
  readonly directory?: string;
  readonly network?: string;
  readonly name?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** `rouse run`. */
export function addRunCommand(program: Command, io: CommandIo, finish: Finish): void {
  const command = program
    .command('run')
    .argument('<COMMAND...>')
    .passThroughOptions()
    .requiredOption(
      '-l, --listen <ADDRESS>',
      'Address to take connections on: IP:PORT or unix:PATH; may be repeated',
      append,
    )
    .addOption(
      new Option(
        '--protocol <PROTOCOL>',
        'What clients speak: tcp (any protocol, the default), http, tls or https',
      )
        .choices(['tcp', 'http', 'tls', 'https'])
        .default('tcp'),
    )
    .option(
      '--upstream <UPSTREAM>',
      'Where the server takes connections: tcp:PORT, unix:PATH, stdio, or socket, a listening socket that it inherits (the default)',
      'socket',
    )
    .option('--idle <DURATION>', 'Stop it when unused for so long (5m), or never')
    .option(
      '--ready <READY>',
      'How it shows that it is ready: connect (the default), notify or http:/PATH',
    )
    .addOption(
      new Option('--engine <ENGINE>', 'What moves the bytes: native or node').choices([
        'native',
        'node',
      ]),
    )
    .option(
      '-e, --env <NAME=VALUE>',
      "Environment of the command; NAME alone passes on the caller's; may be repeated",
      append,
      [],
    )
    .option('--directory <DIR>', 'Working directory of the command (the current one)')
    .addOption(
      new Option(
        '--network <NETWORK>',
        'private (the default): a network of its own; host: that of the host',
      ).choices(['private', 'host']),
    )
    .option('--name <NAME>', 'Name of the service (that of the command)')
    .option('--cert <FILE>', 'Certificate in PEM, for https')
    .option('--key <FILE>', 'Its key');
  addServeFlags(command).action(async (words: string[], flags: RunFlags) => {
    const config = buildRunConfig(words, flags, io.env, io.cwd);
    finish(await runService(io, config, flags));
  });
}

function append(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

async function runService(io: CommandIo, config: object, flags: RunFlags): Promise<number> {
  const { configFromObject } = await import('../config/load.js');
  const load = async () => configFromObject(config, io.cwd);
  const given = flags.runtimeDir !== undefined && flags.stateDir !== undefined;
  if (given || flags.takesState !== undefined) return serveOrAnswer(io, load, flags);
  const directory = await makeOwnDirectory(io);
  try {
    return await serveConfig(io, load, {
      ...flags,
      runtimeDir: flags.runtimeDir ?? join(directory, 'run'),
      stateDir: flags.stateDir ?? join(directory, 'state'),
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A temporary directory; a rouse that re-executed itself (rootless, or upgraded) goes on with the first one's. */
async function makeOwnDirectory({ env, uid }: CommandIo): Promise<string> {
  const isAgain = env.ROUSE_ROOTLESS_UID !== undefined || env[STATE_VARIABLE] !== undefined;
  if (isAgain && env.ROUSE_RUN_DIRECTORY) return env.ROUSE_RUN_DIRECTORY;
  const directory = await mkdtemp(join(tmpdir(), 'rouse-run-'));
  if (uid === 0) await chmod(directory, 0o755);
  env.ROUSE_RUN_DIRECTORY = directory;
  return directory;
}

/**
 * The configuration that `rouse run` stands for, as it would stand in a file.
 *
 * @throws RouseError `usage` for flags that don't go together
 */
export function buildRunConfig(
  command: readonly string[],
  flags: RunFlags,
  env: NodeJS.ProcessEnv,
  cwd: string,
): object {
  const name = flags.name ?? nameOf(command[0] ?? '');
  return {
    enforce: 'best-effort',
    listeners: {
      main: { address: flags.listen, protocol: flags.protocol, ...readCertificates(flags) },
    },
    ...(flags.engine && { gateways: { main: { engine: flags.engine } } }),
    services: {
      [name]: {
        routes: [{ listener: 'main' }],
        run: {
          command,
          directory: flags.directory ?? cwd,
          environment: readEnvironment(flags.env, env),
        },
        upstream: flags.upstream,
        ...(flags.idle && { idle: flags.idle === 'never' ? 'never' : { stop: flags.idle } }),
        ...(flags.ready && { ready: readReady(flags.ready) }),
        ...(flags.network && { isolation: { network: flags.network } }),
      },
    },
  };
}

/** A service's name from a command's: `/srv/my app.js` gives `my-app`. */
function nameOf(command: string): string {
  const base = basename(command, extname(command)).toLowerCase();
  return base.replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '') || 'service';
}

function readCertificates({ protocol, cert, key }: RunFlags): object {
  if (protocol === 'https' && cert && key) return { certificates: [{ cert, key }] };
  if (protocol === 'https') {
    throw new RouseError('usage', '--protocol https needs a certificate: give --cert and --key');
  }
  if (!cert && !key) return {};
  throw new RouseError('usage', `--cert and --key go with --protocol https, not ${protocol}`);
}

function readEnvironment(
  settings: readonly string[],
  env: NodeJS.ProcessEnv,
): Record<string, string> {
  const environment: Record<string, string> = env.PATH ? { PATH: env.PATH } : {};
  for (const setting of settings) {
    const at = setting.indexOf('=');
    const name = at < 0 ? setting : setting.slice(0, at);
    if (!name) throw new RouseError('usage', `--env ${setting}: write NAME=VALUE, or NAME`);
    const value = at < 0 ? env[name] : setting.slice(at + 1);
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

function readReady(text: string): unknown {
  if (text.startsWith('http:')) return { http: text.slice('http:'.length) };
  if (text === 'connect' || text === 'notify') return text;
  throw new RouseError('usage', `--ready ${text}: write connect, notify or http:/PATH`);
}
