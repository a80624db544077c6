import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { messageOf } from '../base/errors.js';
import { type Accounts, findId, readAccounts } from './accounts.js';
import { findCertificateFault } from './check-certificate.js';
import { expandEnvironmentFile } from './environment-file.js';
import { findCommand, systemPath } from './find-command.js';
import type { Locate } from './load.js';
import type { Config, Listener, Position, Service } from './model.js';
import { type ConfigProblem, formatKeyPath, type KeyPath } from './problem.js';
import { didYouMean } from './suggest.js';

/**
 * What the configuration names and this machine hasn't: directories, files, users, groups, commands;
 * certificates that can't be used. With `locate` each problem stands where its key does, else where
 * its service or listener does.
 */
export function checkSystem(config: Config, locate?: Locate): ConfigProblem[] {
  const check = new SystemCheck(readAccounts(), locate ?? null);
  for (const service of config.services) check.checkService(service);
  for (const listener of config.listeners) check.checkListener(listener);
  if (config.admin.group !== null) {
    const position = { file: config.file ?? '<object>', line: 0, column: 0 };
    check.checkGroup(config.admin.group, ['admin', 'group'], position);
  }
  return check.problems;
}

class SystemCheck {
  readonly problems: ConfigProblem[] = [];

  constructor(
    private readonly accounts: Accounts,
    private readonly locate: Locate | null,
  ) {}

  checkService({ name, run, isolation, position }: Service): void {
    const path = ['services', name, 'run'];
    if (run.directory !== null) {
      this.#try([...path, 'directory'], position, () => checkDirectory(run.directory ?? ''));
    }
    this.#checkCommand(path, { run, position });
    const { environmentFile } = run;
    if (environmentFile !== null) {
      this.#try([...path, 'environment_file'], position, () => {
        expandEnvironmentFile(readFileSync(environmentFile, 'utf8'));
      });
    }
    if (run.user !== null) this.#checkUser(run.user, [...path, 'user'], position);
    if (run.group !== null) this.checkGroup(run.group, [...path, 'group'], position);
    for (const [index, group] of run.groups.entries()) {
      this.checkGroup(group, [...path, 'groups', index], position);
    }
    for (const key of ['readable', 'writable'] as const) {
      for (const [index, file] of isolation[key].entries()) {
        const keyPath = ['services', name, 'isolation', key, index];
        this.#try(keyPath, position, () => void statSync(file));
      }
    }
  }

  checkListener({ name, certificates, position }: Listener): void {
    for (const [index, { cert, key }] of certificates.entries()) {
      const path = ['listeners', name, 'certificates', index];
      const fault = findCertificateFault(cert, key);
      if (fault !== null) this.#report([...path, fault.key], position, fault.message);
    }
  }

  checkGroup(group: string, path: KeyPath, position: Position): void {
    const { groups } = this.accounts;
    if (findId(group, groups) !== null) return;
    this.#report(path, position, `there is no group "${group}"${didYouMean(group, groups.keys())}`);
  }

  #checkUser(user: string, path: KeyPath, position: Position): void {
    const { users } = this.accounts;
    const id = findId(user, users);
    if (id === null) {
      const message = `there is no user "${user}"${didYouMean(user, users.keys())}`;
      this.#report(path, position, message);
    } else if (id === 0) {
      this.#report(path, position, `"${user}" is root; a service never runs as root`);
    }
  }

  #checkCommand(path: KeyPath, { run, position }: Pick<Service, 'run' | 'position'>): void {
    const [program = ''] = run.command;
    const searched = run.environment.PATH ?? systemPath();
    if (findCommand(program, searched, run.directory) !== null) return;
    const where = program.includes('/') ? `from ${run.directory ?? '/'}` : `in ${searched}`;
    const message = `there is no executable "${program}" ${where}`;
    this.#report([...path, 'command'], position, message);
  }

  #try(path: KeyPath, position: Position, attempt: () => void): void {
    try {
      attempt();
    } catch (error) {
      this.#report(path, position, messageOf(error));
    }
  }

  #report(path: KeyPath, position: Position, message: string): void {
    const located = this.locate?.(path) ?? position;
    this.problems.push({ message, keyPath: formatKeyPath(path), position: located });
  }
}

function checkDirectory(directory: string): void {
  if (!statSync(directory).isDirectory()) throw new Error(`${directory} is no directory`);
  accessSync(directory, constants.R_OK | constants.X_OK);
}
