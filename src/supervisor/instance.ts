import { messageOf, RouseError } from '../base/errors.js';
import type { Underway } from '../base/underway.js';
import type { Service, Upstream } from '../config/model.js';
import { formatUpstream } from '../config/upstream.js';
import type { ConnectionEnds, DialPlan } from '../ipc/messages.js';
import { closeFd, setNonBlocking } from '../sys/descriptors.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import { type ChildProcessHandle, type ProcessExit, signalNumber } from '../sys/processes.js';
import { createSocketPair } from '../sys/sockets.js';
import { describeExit } from './describe-exit.js';
import { InstanceProcesses, type ProcessesState } from './instance-processes.js';
import { InstanceUpstreams } from './instance-upstreams.js';
import { addressesOf, planProgram } from './launch-plan.js';
import type { Launchers } from './launchers.js';
import { NotifySocket } from './notify-socket.js';
import { OutputPipe, type PipeState } from './output-pipe.js';
import type { PreparedVps, PreparedVpsState } from './prepared-vps.js';
import { ProcessControl, renice } from './process-control.js';
import { closeWhenThere, describeStartError, NotReady, untilReady } from './readiness.js';
import type { ServiceCgroup } from './service-cgroup.js';
import type { ConnectionAddresses } from './service-environment.js';
import type { Dialed } from './upstream-dialer.js';
import type { Vps } from './vps.js';

const FIRST_LISTEN_FD = 3;
const SIGTERM = 15;
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
  readonly underway: Underway;
  readonly onOutput: (chunk: Buffer) => void;
  /** It keeps itself awake, or no longer does. */
  readonly onHold: (isHeld: boolean) => void;
  /** What an administrator should know, in words. */
  readonly onTrouble: (message: string) => void;
  /** After `bringUp` settled: the VPS has no process of the service any more. */
  readonly onGone: (exit: ProcessExit | null) => void;
}

/** What an upgraded supervisor goes on with. */
export interface InstanceState {
  readonly id: number;
  /** As it was when it started: the config may have changed since. */
  readonly service: Service;
  readonly prepared: PreparedVpsState;
  readonly output: PipeState;
  readonly notifyFd: number | null;
  readonly listeningFd: number | null;
  readonly processes: ProcessesState;
  /** Its program runs, and has until then to become ready, by the wall clock; null: it is. */
  readonly readyByMs: number | null;
}

/** One incarnation of a service: its processes, and the sockets that were made for it. It owns them; the VPS it uses. */
export class Instance {
  readonly id: number;
  readonly service: Service;
  readonly #output: OutputPipe;
  readonly #processes: InstanceProcesses;
  /** Where `socket` upstreams listen, once they do. */
  readonly #upstreams: InstanceUpstreams;
  #notify: NotifySocket | null = null;
  #onNotification: (notification: Readonly<Record<string, string>>) => void = () => {};
  /** Ends the waiting for readiness; null once that is over. */
  #bringUp: AbortController | null = new AbortController();
  /** By the wall clock. */
  #readyByMs: number;
  #isDisposed = false;
  /** Its VPS is being taken down: nothing may be started in there, nor by its descriptors any more. */
  #isKilled = false;
  readonly #control: ProcessControl;

  /** `state`: of an earlier self, whose processes run. */
  constructor(
    private readonly settings: InstanceSettings,
    state: InstanceState | null = null,
  ) {
    this.id = settings.id;
    this.service = settings.service;
    this.#output = new OutputPipe(settings.onOutput, state?.output);
    const { service, prepared, identity, underway } = settings;
    const listeningFd = state?.listeningFd ?? null;
    this.#upstreams = new InstanceUpstreams(service, prepared.vps, identity, listeningFd);
    this.#readyByMs = state?.readyByMs ?? Date.now() + service.startTimeoutMs;
    if (state && state.readyByMs === null) this.#bringUp = null;
    const processes = {
      vps: prepared.vps,
      isStdio: this.isStdio,
      underway,
      onTrouble: settings.onTrouble,
      onRunaway: (error: unknown) => this.#onRunaway(messageOf(error)),
      onGone: () => this.#onGone(),
    };
    this.#processes = new InstanceProcesses(processes, state?.processes ?? null);
    if (state && state.notifyFd !== null) this.#openNotifySocket(state.notifyFd);
    this.#control = new ProcessControl(prepared.vps, this.#processes.pids);
  }

  get #vps(): Vps {
    return this.settings.prepared.vps;
  }

  get pid(): number | null {
    return this.#processes.pid;
  }

  get lastExit(): ProcessExit | null {
    return this.#processes.lastExit;
  }

  get isStdio(): boolean {
    return this.service.upstreams[0]?.kind === 'stdio';
  }

  /** Processes that serve a handed-over connection each. */
  get connectionProcesses(): number {
    return this.isStdio ? this.#processes.count : 0;
  }

  /** Its processes die with the thread of this process that started them: no VPS holds them. */
  get isMortal(): boolean {
    return this.#vps.target.vpsPidfd === null;
  }

  /** One of its processes that hasn't ended. */
  findProcess(pid: number): ChildProcessHandle | null {
    return this.#processes.find(pid);
  }

  /** Whether it was told that it has no processes any more. */
  get isOver(): boolean {
    return this.#processes.isOver;
  }

  state(): InstanceState {
    return {
      id: this.id,
      service: this.service,
      prepared: this.settings.prepared.state(),
      output: this.#output.state(),
      notifyFd: this.#notify?.fd ?? null,
      listeningFd: this.#upstreams.listeningFd,
      processes: this.#processes.state(),
      readyByMs: this.#bringUp && this.#readyByMs,
    };
  }

  /**
   * Starts the program and waits until it is ready. Returns the connection that proved it, which is
   * the caller's, or null. Rejects with a `RouseError` of code `start`; processes may be left then.
   */
  bringUp(): Promise<number | null> {
    const bind = () => {
      this.#upstreams.bindSocket();
      this.#openNotifySocket();
    };
    return this.#becomeReady(bind, () => this.#startProgram());
  }

  /** As `bringUp`, of an instance whose program an earlier self has started. */
  goOnBringingUp(): Promise<number | null> {
    return this.#becomeReady(
      () => {},
      async () => {},
    );
  }

  async #becomeReady(bind: () => void, start: () => Promise<void>): Promise<number | null> {
    const controller = this.#bringUp as AbortController;
    let deadline: NodeJS.Timeout | undefined;
    const extend = (durationMs: number) => {
      clearTimeout(deadline);
      this.#readyByMs = Date.now() + durationMs;
      deadline = setTimeout(() => controller.abort(new NotReady('no sign of it')), durationMs);
    };
    extend(Math.max(0, this.#readyByMs - Date.now()));
    let ready: Promise<number | null> | null = null;
    try {
      if (this.isStdio) return null;
      bind();
      ready = untilReady(this.service, {
        ...{ signal: controller.signal, extend },
        dial: () => this.dial(this.readyUpstream),
        onNotification: (listener) => {
          this.#onNotification = listener;
        },
      });
      ready.catch(() => {});
      await start();
      const connectionFd = await ready;
      if (!this.isOver) return connectionFd;
      throw new RouseError('start', `${describeExit(this.lastExit)} before it was ready`);
    } catch (error) {
      controller.abort(error);
      closeWhenThere(ready);
      throw describeStartError(error, this.service.startTimeoutMs);
    } finally {
      clearTimeout(deadline);
      this.#bringUp = null;
    }
  }

  /** `fd`: the one of an earlier self. */
  #openNotifySocket(fd?: number): void {
    const { notify, onHold } = this.settings;
    if (!notify) return;
    const onNotification = (notification: Readonly<Record<string, string>>) => {
      this.#onNotification(notification);
      const hold = notification.ROUSE_HOLD;
      if (this.service.idle.hold && (hold === '1' || hold === '0')) onHold(hold === '1');
    };
    this.#notify = new NotifySocket(notify.outside, onNotification, fd);
  }

  async #startProgram(): Promise<void> {
    const listening = this.#upstreams.listeningFd;
    await this.#launch({
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
    this.#bringUp?.signal.throwIfAborted();
    const child = await this.#processes.add(() =>
      launcher.launch({
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
      }),
    );
    if (this.service.run.nice !== null) renice(child.pid, this.service.run.nice);
    return child;
  }

  #onRunaway(reason: string): void {
    this.settings.onTrouble(`killed: ${reason}`);
    this.kill();
  }

  #onGone(): void {
    if (this.#bringUp) {
      this.#bringUp.abort(
        new RouseError('start', `${describeExit(this.lastExit)} before it was ready`),
      );
    } else this.settings.onGone(this.lastExit);
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
    return child;
  }

  /** The stop signal to every process, as systemd does; SIGCONT is `thaw`'s. `onGone` follows when all have ended. */
  signalStop(): void {
    this.#processes.startEnding();
    this.#control.signal(signalNumber(this.service.stopSignal) ?? SIGTERM);
    this.#processes.check();
  }

  /** Ends the VPS with all that runs in it; `onGone` (or the rejection of `bringUp`) follows. */
  kill(): void {
    this.#processes.startEnding();
    this.#isKilled = true;
    this.#bringUp?.abort(new RouseError('start', 'stopped before it was ready'));
    this.#vps.dispose().then(
      () => this.#processes.check(),
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
  async changeLimits(
    change: (cgroup: ServiceCgroup | null, processes: () => readonly number[]) => Promise<void>,
  ): Promise<void> {
    await change(this.#vps.cgroup, () => this.#control.pids());
  }

  /** Ends what is left of it, and its VPS. Idempotent. */
  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#processes.dispose();
    this.#notify?.close();
    this.#upstreams.close();
    try {
      await this.settings.prepared.release();
    } finally {
      this.#output.close();
    }
  }
}
