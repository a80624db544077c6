import { messageOf, RouseError } from '../base/errors.js';
import type { Service, Upstream } from '../config/model.js';
import { formatUpstream } from '../config/upstream.js';
import type { ConnectionEnds, DialPlan } from '../ipc/messages.js';
import { closeFd, setNonBlocking } from '../sys/descriptors.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import { type ChildProcessHandle, type ProcessExit, signalNumber } from '../sys/processes.js';
import { createSocketPair } from '../sys/sockets.js';
import { describeExit } from './describe-exit.js';
import { InstanceUpstreams } from './instance-upstreams.js';
import { addressesOf, planProgram } from './launch-plan.js';
import type { Launchers } from './launchers.js';
import { NotifySocket } from './notify-socket.js';
import { OutputPipe } from './output-pipe.js';
import { ProcessControl, renice } from './process-control.js';
import { closeWhenThere, describeStartError, NotReady, untilReady } from './readiness.js';
import type { ServiceCgroup } from './service-cgroup.js';
import type { ConnectionAddresses } from './service-environment.js';
import type { Dialed } from './upstream-dialer.js';
import type { Vps } from './vps.js';
import type { PreparedVps } from './vps-store.js';

const FIRST_LISTEN_FD = 3;
const SIGKILL = 9;
const SIGTERM = 15;
/** How often a VPS whose first process ended is looked at until its daemons end too, in milliseconds. */
const DAEMON_CHECK_FIRST_MS = 20;
const DAEMON_CHECK_MAX_MS = 1000;
const ECONNREFUSED = 111;

export interface InstanceSettings {
  readonly id: number;
  readonly service: Service;
  readonly prepared: PreparedVps;
  readonly userName: string;
  /** null: rouse's own, where there is no other. */
  readonly identity: LaunchRequest['identity'];
  readonly launcher: Launchers;
  readonly rlimits: Service['run']['rlimits'];
  /** Path of the notify socket out here, and in the VPS; null unless `ready: notify`. */
  readonly notify: { readonly outside: string; readonly inside: string } | null;
  readonly onOutput: (chunk: Buffer) => void;
  /** It keeps itself awake, or no longer does. */
  readonly onHold: (isHeld: boolean) => void;
  /** What an administrator should know, in words. */
  readonly onTrouble: (message: string) => void;
  /** After `bringUp` settled: the VPS has no process of the service any more. */
  readonly onGone: (exit: ProcessExit | null) => void;
}

/** One incarnation of a service: its processes, and the sockets that were made for it. It owns them; the VPS it uses. */
export class Instance {
  readonly id: number;
  readonly service: Service;
  readonly #output: OutputPipe;
  readonly #processes = new Set<ChildProcessHandle>();
  /** Where `socket` upstreams listen, once they do. */
  readonly #upstreams: InstanceUpstreams;
  #first: ChildProcessHandle | null = null;
  #notify: NotifySocket | null = null;
  #lastExit: ProcessExit | null = null;
  #daemonCheck: NodeJS.Timeout | null = null;
  #onNotification: (notification: Readonly<Record<string, string>>) => void = () => {};
  /** Ends the waiting for readiness; null once that is over. */
  #bringUp: AbortController | null = new AbortController();
  #isDisposed = false;
  #isGone = false;
  #isEnding = false;
  /** Its VPS is being taken down: nothing may be started in there, nor by its descriptors any more. */
  #isKilled = false;
  #isOver = false;
  /** Processes that may run already, and aren't known yet. */
  #launching = 0;
  #isOutOfMemory = false;
  readonly #control: ProcessControl;
  readonly #watches: readonly (() => void)[];

  constructor(private readonly settings: InstanceSettings) {
    this.id = settings.id;
    this.service = settings.service;
    this.#output = new OutputPipe(settings.onOutput);
    const { service, prepared, identity } = settings;
    this.#upstreams = new InstanceUpstreams(service, prepared.vps, identity);
    this.#control = new ProcessControl(settings.prepared.vps, () => this.#startedPids());
    this.#watches = this.#watchCgroup();
  }

  #watchCgroup(): (() => void)[] {
    const { cgroup } = this.#vps;
    if (!cgroup) return [];
    const empty = cgroup.onEmpty(() => this.#checkGoneUnlessIdle());
    if (this.service.resources.memoryBytes === null) return [empty];
    return [empty, cgroup.onOutOfMemory(() => this.#onOutOfMemory())];
  }

  #onOutOfMemory(): void {
    this.#isOutOfMemory = true;
    this.settings.onTrouble('out of memory: the kernel killed a process of it (resources.memory)');
  }

  get #vps(): Vps {
    return this.settings.prepared.vps;
  }

  get pid(): number | null {
    return this.#first?.pid ?? null;
  }

  get lastExit(): ProcessExit | null {
    return this.#lastExit;
  }

  get isStdio(): boolean {
    return this.service.upstreams[0]?.kind === 'stdio';
  }

  /** Processes that serve a handed-over connection each. */
  get connectionProcesses(): number {
    return this.isStdio ? this.#processes.size + this.#launching : 0;
  }

  /** Whether it was told that it has no processes any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get #isAlive(): boolean {
    if (this.#isGone || this.#isDisposed) return false;
    const isStarting = this.#launching > 0 || this.#processes.size > 0;
    return isStarting || this.#vps.isPopulated(this.#startedPids());
  }

  #startedPids(): number[] {
    return [...this.#processes].map(({ pid }) => pid);
  }

  /**
   * Starts the program and waits until it is ready. Returns the connection that proved it, which is
   * the caller's, or null. Rejects with a `RouseError` of code `start`; processes may be left then.
   */
  async bringUp(): Promise<number | null> {
    const controller = this.#bringUp as AbortController;
    let deadline = setTimeout(
      () => controller.abort(new NotReady('no sign of it')),
      this.service.startTimeoutMs,
    );
    const extend = (durationMs: number) => {
      clearTimeout(deadline);
      deadline = setTimeout(() => controller.abort(new NotReady('no sign of it')), durationMs);
    };
    let ready: Promise<number | null> | null = null;
    try {
      if (this.isStdio) return null;
      this.#upstreams.bindSocket();
      this.#bindNotifySocket();
      ready = untilReady(this.service, {
        ...{ signal: controller.signal, extend },
        dial: () => this.dial(this.readyUpstream),
        onNotification: (listener) => {
          this.#onNotification = listener;
        },
      });
      ready.catch(() => {});
      await this.#startProgram();
      const connectionFd = await ready;
      if (!this.#isOver) return connectionFd;
      throw new RouseError('start', `${describeExit(this.#lastExit)} before it was ready`);
    } catch (error) {
      controller.abort(error);
      closeWhenThere(ready);
      throw describeStartError(error, this.service.startTimeoutMs);
    } finally {
      clearTimeout(deadline);
      this.#bringUp = null;
    }
  }

  #bindNotifySocket(): void {
    const { notify, onHold } = this.settings;
    if (!notify) return;
    this.#notify = new NotifySocket(notify.outside, (notification) => {
      this.#onNotification(notification);
      const hold = notification.ROUSE_HOLD;
      if (this.service.idle.hold && (hold === '1' || hold === '0')) onHold(hold === '1');
    });
  }

  async #startProgram(): Promise<void> {
    const listening = this.#upstreams.listeningFd;
    this.#first = await this.#launch({
      stdin: null,
      extra: listening === null ? [] : [[listening, FIRST_LISTEN_FD]],
      listenNames: listening === null ? [] : [this.service.name],
      connection: null,
    });
  }

  async #launch(how: {
    stdin: number | null;
    extra: readonly (readonly [number, number])[];
    listenNames: readonly string[];
    connection: ConnectionAddresses | null;
  }): Promise<ChildProcessHandle> {
    if (this.#isKilled || this.#isDisposed) throw new RouseError('start', 'it is being stopped');
    const { identity, launcher, notify, userName, prepared, rlimits } = this.settings;
    const program = planProgram({
      ...{
        service: this.service,
        userName,
        prepared,
        rlimits,
        isHeld: this.#vps.target.vpsPidfd !== null,
        notifySocket: notify?.inside ?? null,
      },
      ...{ listenNames: how.listenNames, connection: how.connection },
    });
    const child = await this.#launchWith(launcher, {
      ...program,
      descriptors: [
        [how.stdin ?? this.#output.nullFd, 0],
        [how.stdin ?? this.#output.writeFd, 1],
        [this.#output.writeFd, 2],
        ...how.extra,
      ],
      ...this.#vps.target,
      identity,
      umask: this.service.run.umask,
      cpus: this.service.cpus,
    });
    if (this.service.run.nice !== null) renice(child.pid, this.service.run.nice);
    return child;
  }

  async #launchWith(
    launcher: Launchers,
    request: Parameters<Launchers['launch']>[0],
  ): Promise<ChildProcessHandle> {
    this.#bringUp?.signal.throwIfAborted();
    this.#launching += 1;
    let child: ChildProcessHandle;
    try {
      child = await launcher.launch(request);
    } finally {
      this.#launching -= 1;
      if (this.#isEnding) setImmediate(() => this.#checkGoneUnlessIdle());
    }
    this.#processes.add(child);
    this.#vps
      .adopt(
        child.pid,
        () => this.#startedPids(),
        () => this.#launching > 0,
      )
      .catch((error) => this.#onRunaway(messageOf(error)));
    void child.exited.then((exit) => this.#onExit(child, exit));
    if (this.#isDisposed) child.signal(SIGKILL);
    return child;
  }

  #onRunaway(reason: string): void {
    this.settings.onTrouble(`killed: ${reason}`);
    this.kill();
  }

  #onExit(child: ChildProcessHandle, exit: ProcessExit): void {
    this.#processes.delete(child);
    if (child === this.#first || this.isStdio) this.#lastExit = this.#explained(exit);
    this.#checkGoneUnlessIdle();
  }

  /** `stdio`: between two connections there is no process, and that is no end. */
  #checkGoneUnlessIdle(): void {
    if (!this.isStdio || this.#isEnding) this.#checkGone(DAEMON_CHECK_FIRST_MS);
  }

  #explained(exit: ProcessExit): ProcessExit {
    return exit.signal === 'SIGKILL' && this.#isOutOfMemory
      ? { ...exit, cause: 'out of memory' }
      : exit;
  }

  /** A server may have become a daemon: alive means that its VPS has processes. */
  #checkGone(nextCheckMs: number): void {
    if (this.#daemonCheck) clearTimeout(this.#daemonCheck);
    this.#daemonCheck = null;
    if (this.#isDisposed || this.#isGone) return;
    if (this.#isAlive) {
      const laterMs = Math.min(DAEMON_CHECK_MAX_MS, nextCheckMs * 2);
      this.#daemonCheck = setTimeout(() => this.#checkGone(laterMs), nextCheckMs);
      return;
    }
    this.#isGone = true;
    // Two turns of the loop: what it printed last is read before its end is told.
    setImmediate(() => setImmediate(() => this.#tellGone()));
  }

  #tellGone(): void {
    this.#isOver = true;
    if (this.#bringUp) {
      this.#bringUp.abort(
        new RouseError('start', `${describeExit(this.#lastExit)} before it was ready`),
      );
    } else this.settings.onGone(this.#lastExit);
  }

  /** The upstream that the connection which proved readiness leads to. */
  get readyUpstream(): string {
    return formatUpstream(this.service.upstreams[0] as Upstream);
  }

  /** How a gateway reaches each upstream, by its key. */
  plans(): Record<string, DialPlan> {
    return this.#upstreams.plans();
  }

  /** Sockets in the instance's network; none where gateways don't get such. */
  createSockets(upstream: string, count: number): number[] {
    return this.#upstreams.createSockets(upstream, count);
  }

  async dial(upstream: string): Promise<Dialed> {
    return this.#isDisposed ? { errno: ECONNREFUSED } : this.#upstreams.dial(upstream);
  }

  /** `stdio`: a process on a connection of its own; the other end of it is returned. */
  async dialStdio(ends: ConnectionEnds): Promise<{ fd: number; process: ChildProcessHandle }> {
    const [ours, theirs] = createSocketPair('stream');
    try {
      return { fd: ours, process: await this.serveOn(theirs, ends) };
    } catch (error) {
      closeFd(ours);
      throw error;
    } finally {
      closeFd(theirs);
    }
  }

  /** `stdio`: a process that has this connection as standard input and output. The descriptor stays the caller's. */
  async serveOn(fd: number, ends: ConnectionEnds): Promise<ChildProcessHandle> {
    setNonBlocking(fd, false);
    const child = await this.#launch({
      stdin: fd,
      extra: [],
      listenNames: [],
      connection: addressesOf(ends),
    });
    this.#first ??= child;
    return child;
  }

  /** The stop signal to every process, as systemd does; SIGCONT is `thaw`'s. `onGone` follows when all have ended. */
  signalStop(): void {
    this.#isEnding = true;
    this.#control.signal(signalNumber(this.service.stopSignal) ?? SIGTERM);
    this.#checkGone(DAEMON_CHECK_FIRST_MS);
  }

  /** Ends the VPS with all that runs in it; `onGone` (or the rejection of `bringUp`) follows. */
  kill(): void {
    this.#isEnding = true;
    this.#isKilled = true;
    this.#bringUp?.abort(new RouseError('start', 'stopped before it was ready'));
    this.#vps.dispose().then(
      () => this.#checkGone(DAEMON_CHECK_FIRST_MS),
      (error) => this.settings.onTrouble(messageOf(error)),
    );
  }

  /** By its cgroup; where there is none by signals. */
  freeze(reclaim: boolean): void {
    this.#control.freeze(reclaim);
  }

  thaw(): void {
    this.#control.thaw();
  }

  /** Gives `change` what limits of a running instance are changed by. */
  changeLimits(
    change: (cgroup: ServiceCgroup | null, processes: () => readonly number[]) => void,
  ): void {
    change(this.#vps.cgroup, () => this.#control.pids());
  }

  /** Ends what is left of it, and its VPS. Idempotent. */
  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (this.#daemonCheck) clearTimeout(this.#daemonCheck);
    for (const stopWatching of this.#watches) stopWatching();
    this.#notify?.close();
    this.#upstreams.close();
    try {
      await this.settings.prepared.release();
    } finally {
      this.#output.close();
    }
  }
}
