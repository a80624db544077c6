import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Status } from 'rouse';
import { AdminClient } from '../../src/admin/client.js';
import { PROGRAM, runRouse } from '../app/program.js';
import { isRunning, listDescendants } from '../support/processes.js';
import { type ProcessEnd, type ProcessOptions, TestProcess } from '../support/run-process.js';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.js';

export interface ServeOptions extends ProcessOptions {
  /** Holds the configuration, the runtime and the state directory; by default one that goes with the rouse. */
  readonly directory?: string;
  /** Comes before `node main.js serve …`. */
  readonly prefix?: readonly string[];
  /** Not waited for until it serves. */
  readonly mayFail?: boolean;
}

/** `rouse serve` as a process, for what signals, crashes and the command line do to it. */
export class ServedRouse implements AsyncDisposable {
  readonly admin: AdminClient;

  private constructor(
    readonly process: TestProcess,
    readonly directory: string,
    private readonly temporary: TemporaryDirectory | null,
  ) {
    this.admin = new AdminClient(join(directory, 'run', 'admin.sock'));
  }

  static async start(config: object, options: ServeOptions = {}): Promise<ServedRouse> {
    const { directory: given, prefix = [], mayFail, ...processOptions } = options;
    const temporary = given === undefined ? makeTemporaryDirectory() : null;
    const directory = given ?? temporary?.path ?? '';
    writeConfig(directory, config);
    const flags = ['--log-format', 'json', '--state-dir', join(directory, 'state')];
    const place = ['--runtime-dir', join(directory, 'run'), '-c', join(directory, 'rouse.yaml')];
    const command = [...prefix, process.execPath, PROGRAM, 'serve', ...place, ...flags];
    const served = new ServedRouse(new TestProcess(command, processOptions), directory, temporary);
    if (mayFail !== true) await served.untilServing();
    return served;
  }

  get pid(): number {
    return this.process.pid;
  }

  get runtimeDir(): string {
    return join(this.directory, 'run');
  }

  async untilServing(): Promise<void> {
    await this.process.waitForOutput(/"event":"started"/);
  }

  writeConfig(config: object): void {
    writeConfig(this.directory, config);
  }

  /** Runs a command against it. */
  command(...args: readonly string[]): Promise<ProcessEnd> {
    return runRouse([...args, '--runtime-dir', this.runtimeDir]);
  }

  status(): Promise<Status> {
    return this.admin.status();
  }

  async port(listener: string): Promise<number> {
    const { listeners } = await this.status();
    const address = listeners.find(({ name }) => name === listener)?.addresses[0] ?? '';
    return Number(address.slice(address.lastIndexOf(':') + 1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const processes = listDescendants(this.pid);
    await this.process[Symbol.asyncDispose]();
    // What runs without isolation outlives a supervisor that is killed.
    for (const left of processes) if (isRunning(left)) killNow(left.pid);
    this.temporary?.[Symbol.dispose]();
  }
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** JSON is YAML. */
function writeConfig(directory: string, config: object): void {
  const text = JSON.stringify({ enforce: 'required', ...config }, null, 2);
  writeFileSync(join(directory, 'rouse.yaml'), text);
}
