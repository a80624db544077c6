import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { messageOf } from '../base/errors.js';
import { type Accounts, findId, readAccounts } from './accounts.js';
import { findCertificateFault } from './check-certificate.js';
import { expandEnvironmentFile } from './environment-file.js';
import { findCommand, systemPath } from './find-command.js';
import type { Locate } from './load.js';
import type { Config, Listener, Service } from './model.js';
import { type ConfigProblem, formatKeyPath, type KeyPath } from './problem.js';
import { didYouMean } from './suggest.js';

/**
 * What the configuration names and this machine hasn't: directories, files, users, groups, commands;
 * certificates that can't be used. `locate` tells where each key stands.
 */
export function checkSystem(config: Config, locate: Locate): ConfigProblem[] {
  const check = new SystemCheck(readAccounts(), locate);
  for (const service of config.services) check.checkService(service);
  for (const listener of config.listeners) check.checkListener(listener);
  if (config.admin.group !== null) check.checkGroup(config.admin.group, ['admin', 'group']);
  return check.problems;
}

class SystemCheck {
  readonly problems: ConfigProblem[] = [];

  constructor(
    private readonly accounts: Accounts,
    private readonly locate: Locate,
  ) {}

  checkService({ name, run, isolation }: Service): void {
    const path = ['services', name, 'run'];
    if (run.directory !== null) {
      this.#try([...path, 'directory'], () => checkDirectory(run.directory ?? ''));
    }
    this.#checkCommand(path, run);
    const { environmentFile } = run;
    if (environmentFile !== null) {
      this.#try([...path, 'environment_file'], () => {
        expandEnvironmentFile(readFileSync(environmentFile, 'utf8'));
      });
    }
    if (run.user !== null) this.#checkUser(run.user, [...path, 'user']);
    if (run.group !== null) this.checkGroup(run.group, [...path, 'group']);
    for (const [index, group] of run.groups.entries()) {
      this.checkGroup(group, [...path, 'groups', index]);
    }
    for (const key of ['readable', 'writable'] as const) {
      for (const [index, file] of isolation[key].entries()) {
        const keyPath = ['services', name, 'isolation', key, index];
        this.#try(keyPath, () => void statSync(file));
      }
    }
  }

  checkListener({ name, certificates }: Listener): void {
    for (const [index, { cert, key }] of certificates.entries()) {
      const path = ['listeners', name, 'certificates', index];
      const fault = findCertificateFault(cert, key);
      if (fault !== null) this.#report([...path, fault.key], fault.message);
    }
  }

  checkGroup(group: string, path: KeyPath): void {
    const { groups } = this.accounts;
    if (findId(group, groups) !== null) return;
    this.#report(path, `there is no group "${group}"${didYouMean(group, groups.keys())}`);
  }

  #checkUser(user: string, path: KeyPath): void {
    const { users } = this.accounts;
    const id = findId(user, users);
    if (id === null) {
      const message = `there is no user "${user}"${didYouMean(user, users.keys())}`;
      this.#report(path, message);
    } else if (id === 0) {
      this.#report(path, `"${user}" is root; a service never runs as root`);
    }
  }

  #checkCommand(path: KeyPath, run: Service['run']): void {
    const [program = ''] = run.command;
    const searched = run.environment.PATH ?? systemPath();
    if (findCommand(program, searched, run.directory) !== null) return;
    const where = program.includes('/') ? `from ${run.directory ?? '/'}` : `in ${searched}`;
    const message = `there is no executable "${program}" ${where}`;
    this.#report([...path, 'command'], message);
  }

  #try(path: KeyPath, attempt: () => void): void {
    try {
      attempt();
    } catch (error) {
      this.#report(path, messageOf(error));
    }
  }

  #report(path: KeyPath, message: string): void {
    this.problems.push({ message, keyPath: formatKeyPath(path), position: this.locate(path) });
  }
}

function checkDirectory(directory: string): void {
  if (!statSync(directory).isDirectory()) throw new Error(`${directory} is no directory`);
  accessSync(directory, constants.R_OK | constants.X_OK);
}
