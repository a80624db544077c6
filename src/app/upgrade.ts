import { spawn } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { AdminServer } from '../admin/server.js';
import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { UpgradePlan, UpgradeReport } from '../ipc/admin-api.js';
import type { Supervisor } from '../supervisor/supervisor.js';
import { STATE_FORMAT } from '../supervisor/supervisor-state.js';
import { closeFd } from '../sys/descriptors.js';
import { execute } from '../sys/exec.js';
import { type EarlierSelf, passState, STATE_VARIABLE } from './earlier-self.js';
import { readVersion } from './version.js';

/**
 * The upgrade in place: this process becomes the program that is installed now (execve(2)). What
 * keeps its place and what changes hands, seam by seam:
 *
 * 1. Asked beforehand. The new program is run with this one's command line and `--takes-state N`: it
 *    starts, reads the configuration, and says whether it takes a state of format N. Where it
 *    doesn't, nothing has changed and the error says why.
 * 2. The admin socket takes no more calls (clients wait in its queue), streams end, and calls that
 *    are waiting for something are told to ask again.
 * 3. The supervisor comes to rest. It reads no more from gateways: what they say waits in their
 *    channels for the next program. Starts that haven't begun wait in the queue of starts; VPSs that
 *    are being built, processes that are being started, connections that are being dialled, files
 *    that are being written are waited for (5 s, else the upgrade is put off with an error and all
 *    goes on). What takes its own time isn't waited for, but handed over as it stands: a service that
 *    isn't ready yet, one that stops, one that is frozen, backoffs, holds, clients who wait.
 * 4. In one step, in which no event is handled: the state is written to a memory file
 *    (supervisor-state.ts), the descriptors that it names lose close-on-exec (all others are closed
 *    by the kernel), and execve. Pid, parent-death signals of holders (which follow this thread),
 *    children, sockets, the lock and the place in systemd's eyes stay. Where execve fails, all is
 *    undone and goes on.
 * 5. The new program restores each part from its state before it handles the first event. What
 *    happened meanwhile is in the kernel: pidfds of children that ended are readable, channels and
 *    notify sockets have their messages, listening sockets their queues.
 * 6. It starts gateways of its own on the same listening sockets; when they are ready the earlier
 *    ones take no new connections and end those that they have (`upgrade_timeout`), in their version
 *    of the protocol (dialects.ts). Then the configuration is read again, as by a reload.
 *
 * Without a VPS a service dies with the launcher's thread, since its parent-death signal follows
 * that: then the upgrade is refused. Signals that come while the new program loads (some 50 ms) find
 * no handler: SIGTERM and SIGHUP end it then, as a crash does.
 */
export interface UpgradeSettings {
  readonly supervisor: Supervisor;
  readonly admin: () => Pick<AdminServer, 'fd' | 'resume' | 'suspend'>;
  /** Of the runtime directory. */
  readonly lockFd: number;
  /** Passed on under the same numbers. */
  readonly inheritFds: readonly number[];
  /** When the service that this process is began, by the wall clock. */
  readonly startedAtMs: number;
  readonly log: Logger;
}

/** The new program has that long to start, and to read the configuration. */
const CHECK_TIMEOUT_MS = 60_000;
const ERROR_LINES = 20;

/** Replaces the program of this process by the one that is installed now. */
export class Upgrade {
  readonly #version = readVersion();
  #isUnderWay = false;
  #last: Promise<UpgradeReport> | null = null;

  constructor(private readonly settings: UpgradeSettings) {}

  /** Another version is installed than the one that runs. */
  get isDue(): boolean {
    return installedVersion() !== this.#version;
  }

  /** What the last upgrade came to; an earlier self began it where there was none in this one. */
  get last(): Promise<UpgradeReport> {
    return (
      this.#last ??
      Promise.reject(new RouseError('upgrade', 'rouse has not been upgraded since it was started'))
    );
  }

  /** The earlier self's upgrade, which this one completes. */
  set last(report: Promise<UpgradeReport>) {
    report.catch(() => {});
    this.#last = report;
  }

  /**
   * Resolves when the new program has said that it can take over: from then on no call is taken but
   * by that one, and `last` says what came of it. Rejects with a `RouseError` of code `upgrade`;
   * nothing has changed then.
   */
  async begin(): Promise<UpgradePlan> {
    if (this.#isUnderWay) throw new RouseError('upgrade', 'an upgrade is under way already');
    this.#isUnderWay = true;
    try {
      const to = await askNewProgram();
      const plan = { from: this.#version, to };
      const idle = this.settings.admin().suspend();
      this.last = this.#replace(plan, idle);
      return plan;
    } catch (error) {
      this.#isUnderWay = false;
      throw error;
    }
  }

  /** Returns only by an error. */
  async #replace(plan: UpgradePlan, idle: Promise<void>): Promise<never> {
    const { admin, log, supervisor } = this.settings;
    const atMs = Date.now();
    try {
      await idle;
      log.info({ event: 'upgrading', ...plan }, `becoming rouse ${plan.to} (this is ${plan.from})`);
      await supervisor.handOver((state) =>
        this.#execute({ format: STATE_FORMAT, ...this.#own(plan, atMs), supervisor: state }),
      );
      throw new RouseError('upgrade', 'it went on as it was');
    } catch (error) {
      const failure = new RouseError(
        'upgrade',
        `cannot become rouse ${plan.to}: ${messageOf(error)}`,
      );
      log.error({ event: 'upgrade-failed' }, `${failure.message}; rouse ${plan.from} goes on`);
      admin().resume();
      this.#isUnderWay = false;
      throw failure;
    }
  }

  #own(plan: UpgradePlan, atMs: number): Omit<EarlierSelf, 'format' | 'supervisor'> {
    const { admin, inheritFds, lockFd, startedAtMs } = this.settings;
    return { ...plan, atMs, startedAtMs, lockFd, adminFd: admin().fd, inheritFds };
  }

  #execute(state: EarlierSelf): never {
    const { fd, keepFds } = passState(state);
    try {
      const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
      execute(command, { ...process.env, [STATE_VARIABLE]: String(fd) }, keepFds);
    } finally {
      closeFd(fd);
    }
  }
}

/** Of the program that this process's command line leads to by now. */
function installedVersion(): string {
  const program = realpathSync(process.argv[1] ?? '');
  const manifest = readFileSync(new URL('../../package.json', `file://${program}`), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** The new program's version. Rejects with a `RouseError` of code `upgrade` where it can't take over. */
async function askNewProgram(): Promise<string> {
  const [program = '', command = '', ...flags] = process.argv.slice(1);
  const question = ['--takes-state', String(STATE_FORMAT)];
  const child = spawn(
    process.execPath,
    [...process.execArgv, program, command, ...question, ...flags],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: CHECK_TIMEOUT_MS, killSignal: 'SIGKILL' },
  );
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) =>
      resolve(code === 0 ? '' : `it ended with ${signal ?? code}`),
    );
  });
  const [answer, complaint, fault] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    ended,
  ]);
  const version = /^takes over as rouse (\S+)$/m.exec(answer)?.[1];
  if (fault === '' && version !== undefined) return version;
  const said = complaint.trim().split('\n').slice(-ERROR_LINES).join('\n');
  throw new RouseError(
    'upgrade',
    `the installed program cannot take over: ${said || fault || 'it did not say so'}`,
  );
}
