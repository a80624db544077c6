import { readlinkSync } from 'node:fs';
import { listDescendants } from '../support/processes.js';
import { TestProcess } from '../support/run-process.js';

/** Why namespaces can't be had here; null: they can. */
export const whyNoNamespaces: string | null =
  process.getuid?.() === 0 ? null : 'it takes root to make namespaces and take identities';

export const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'uts'] as const;
export type NamespaceName = (typeof NAMESPACES)[number];

export const titled = (name: string) =>
  whyNoNamespaces === null ? name : `${name} (skipped: ${whyNoNamespaces})`;

/** A process that keeps namespaces in being, as a holder does; its loopback is up. */
export class NamespaceHolder implements AsyncDisposable {
  private constructor(
    private readonly process: TestProcess,
    readonly pid: number,
  ) {}

  static async start(): Promise<NamespaceHolder> {
    const flags = ['--mount', '--net', '--ipc', '--uts', '--pid', '--fork', '--kill-child'];
    const script = 'ip link set lo up && echo up && exec sleep 1000';
    const process = new TestProcess(['unshare', ...flags, '--mount-proc', 'sh', '-c', script]);
    await process.waitForOutput(/up/);
    return new NamespaceHolder(process, listDescendants(process.pid)[0]?.pid ?? 0);
  }

  namespace(name: NamespaceName): string {
    return readlinkSync(`/proc/${this.pid}/ns/${name}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}
