import { readFileSync } from 'node:fs';
import { messageOf, RouseError } from '../base/errors.js';
import { expandEnvironmentFile } from '../config/environment-file.js';
import { findCommand, systemPath } from '../config/find-command.js';
import type { Service } from '../config/model.js';
import type { ConnectionEnds } from '../ipc/messages.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import type { PreparedVps } from './prepared-vps.js';
import {
  type ConnectionAddresses,
  serviceEnvironment,
  wrapForLimits,
  wrapForListenPid,
  wrapToEndWithSupervisor,
} from './service-environment.js';

export interface ProgramRequest {
  readonly service: Service;
  readonly userName: string;
  readonly prepared: Pick<PreparedVps, 'stateDirectory' | 'egressAddress'>;
  /** The service's own and those that stand for limits. */
  readonly rlimits: Service['run']['rlimits'];
  /** In a VPS, which ends with the supervisor. */
  readonly isHeld: boolean;
  /** Path inside the VPS; null: none. */
  readonly notifySocket: string | null;
  readonly listenNames: readonly string[];
  readonly connection: ConnectionAddresses | null;
}

type Program = Pick<LaunchRequest, 'executable' | 'arguments' | 'environment' | 'directory'>;

/** What a service's process executes. Reads the environment file. Throws a `RouseError` of code `start`. */
export function planProgram(request: ProgramRequest): Program {
  const { service, prepared, notifySocket, listenNames, connection } = request;
  const { run, reach } = service;
  const directory = run.directory ?? '/';
  const environment = serviceEnvironment({
    directory: run.directory,
    user: request.userName,
    environment: run.environment,
    fileEnvironment: readEnvironmentFile(run.environmentFile),
    inherited: process.env,
    searchPath: systemPath(),
    notifySocket,
    stateDirectory: prepared.stateDirectory,
    egressAddress: prepared.egressAddress,
    directHosts: Object.values(reach).map(({ host }) => host),
    listenNames,
    connection,
  });
  const [command = ''] = run.command;
  const program = findCommand(command, environment.PATH ?? '', directory);
  if (!program) throw new RouseError('start', `${command}: no such program in ${environment.PATH}`);
  const limited = wrapForLimits([program, ...run.command.slice(1)], request.rlimits);
  const wrapped = listenNames.length > 0 ? wrapForListenPid(limited) : limited;
  const argv = request.isHeld ? wrapped : wrapToEndWithSupervisor(wrapped);
  return {
    executable: argv[0] as string,
    arguments: argv[0] === program ? [command, ...argv.slice(1)] : argv,
    environment: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    directory,
  };
}

function readEnvironmentFile(path: string | null): Record<string, string> {
  if (path === null) return {};
  try {
    return expandEnvironmentFile(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new RouseError('start', `environment_file ${path}: ${messageOf(error)}`);
  }
}

/** Both ends of a connection, as its process is told of them. */
export function addressesOf(ends: ConnectionEnds): ConnectionAddresses {
  return { remote: inetOf(ends.source), local: inetOf(ends.destination) };
}

/** `127.0.0.1:80` or `[::1]:80`; null for a Unix socket. */
function inetOf(text: string): { ip: string; port: number } | null {
  const [, ip, port] = /^\[?([0-9a-fA-F.:]+)\]?:(\d+)$/.exec(text) ?? [];
  return ip === undefined ? null : { ip, port: Number(port) };
}
