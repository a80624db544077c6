import type { ChildProcessHandle } from '../sys/processes.js';
import type { Instance } from './instance.js';
import type { LeaseHolder } from './lease-book.js';
import type { ServiceDriver } from './service-driver.js';

const KEY = /^process (\d+) of (.*)$/;

/** The lease of one connection that a process was put on: it ends with the process. */
export class ConnectionHolder implements LeaseHolder {
  readonly name: string;
  #pid: number | null = null;

  constructor(private readonly source: string) {
    this.name = `connection from ${source}`;
  }

  get key(): string {
    return `process ${this.#pid} of ${this.source}`;
  }

  follow(
    { pid, exited }: ChildProcessHandle,
    driver: Pick<ServiceDriver, 'release'>,
    { id }: Instance,
  ): void {
    this.#pid = pid;
    void exited.then(() => driver.release(this, id, 0));
  }

  /** Of an earlier self, by its key; null: it is no such key, or the process has ended. */
  static find(
    key: string,
    driver: Pick<ServiceDriver, 'release'>,
    instance: Instance,
  ): ConnectionHolder | null {
    const [, pid, source = ''] = KEY.exec(key) ?? [];
    const process = instance.findProcess(Number(pid));
    if (!process) return null;
    const holder = new ConnectionHolder(source);
    holder.follow(process, driver, instance);
    return holder;
  }
}
