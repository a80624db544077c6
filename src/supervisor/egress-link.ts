import { Backoff } from '../base/backoff.js';
import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Underway } from '../base/underway.js';
import type { EgressRule } from '../config/model.js';
import { Channel } from '../ipc/channel.js';
import { type FromEgress, fromEgressSchema, type ToEgress } from '../ipc/egress-messages.js';
import { EGRESS_PROTOCOL_VERSION } from '../ipc/protocol-version.js';
import { closeFd, createMemfd, duplicateFd } from '../sys/descriptors.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import { ChildProcessHandle, type ChildState } from '../sys/processes.js';
import { createSocketPair } from '../sys/sockets.js';
import { describeExit } from './describe-exit.js';
import type { Watched } from './health-check.js';
import type { Launchers } from './launchers.js';
import { Pulse } from './pulse.js';
import type { ResolverFiles } from './resolver-files.js';
import { restoreVps, type Vps, type VpsState } from './vps.js';

const BACKOFF = { firstMs: 100, maxMs: 10_000, jitter: 0.25 };
const HEALTHY_MS = 5000;
const CONTROL_FD = 3;
export const EGRESS_LOG_FD = 4;
const SIGKILL = 9;

type EgressProgram = Pick<LaunchRequest, 'executable' | 'arguments' | 'environment' | 'identity'>;

export interface EgressLinkSettings {
  readonly launcher: Pick<Launchers, 'launch'>;
  readonly buildVps: () => Promise<Vps>;
  /** Open as long as the process is wanted. */
  readonly resolver: Pick<ResolverFiles, 'open' | 'close'>;
  readonly program: () => EgressProgram;
  /** Opens what is passed to it as `EGRESS_LOG_FD`, for what it logs; null: it needs nothing. */
  readonly openLog: (() => number) | null;
  readonly underway: Underway;
  readonly log: Logger;
}

interface ServiceRules {
  readonly rules: readonly EgressRule[];
  readonly logsAccess: boolean;
}

/** What an upgraded supervisor goes on with. */
export interface EgressState {
  readonly lastId: number;
  /** null: it doesn't run. */
  readonly life: {
    readonly fd: number;
    readonly child: ChildState;
    readonly vps: VpsState;
  } | null;
}

interface Life {
  /** Of its control channel. */
  readonly fd: number;
  readonly channel: Channel<FromEgress, ToEgress>;
  readonly pulse: Pulse;
  readonly child: ChildProcessHandle;
  readonly vps: Vps;
  readonly startedAtMs: number;
}

/** The egress process as the supervisor has it: what it was told, and its successor when it dies. */
export class EgressLink implements Watched {
  readonly #rules = new Map<string, ServiceRules>();
  readonly #sockets = new Map<number, { readonly service: string; readonly fd: number }>();
  readonly #backoff = new Backoff(BACKOFF);
  #life: Life | null = null;
  #starting: Promise<void> | null = null;
  #restart: NodeJS.Timeout | null = null;
  #isWanted = false;
  #lastId = 0;

  constructor(private readonly settings: EgressLinkSettings) {}

  get pid(): number | null {
    return this.#life?.child.pid ?? null;
  }

  state(): EgressState {
    const life = this.#life;
    return {
      lastId: this.#lastId,
      life: life && { fd: life.fd, child: life.child.state(), vps: life.vps.state() },
    };
  }

  /** Goes on with the process of an earlier self. */
  restore({ lastId, life }: EgressState): void {
    this.#lastId = lastId;
    if (life === null) return;
    this.#isWanted = true;
    this.settings.resolver.open();
    this.#follow(new ChildProcessHandle(life.child), restoreVps(life.vps), life.fd);
  }

  /** Of an earlier self: its process knows it. */
  restoreSocket({ id, service, fd }: { id: number; service: string; fd: number }): void {
    this.#sockets.set(id, { service, fd });
  }

  /** See `Channel`. */
  pause(): void {
    this.#life?.channel.pause();
  }

  resume(): void {
    this.#life?.channel.resume();
  }

  get isFlushed(): boolean {
    return this.#life?.channel.isFlushed ?? true;
  }

  /** Resolves when all that it was told has left this process. */
  async flushed(): Promise<void> {
    await this.#life?.channel.flushed();
  }

  /** Resolves when the process runs. Rejects where it can't be started; it is tried again then. */
  async start(): Promise<void> {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.settings.resolver.open();
    await this.#start();
  }

  #start(): Promise<void> {
    this.#starting = this.settings.underway.track(this.#launch()).catch((error: unknown) => {
      this.#startLater(messageOf(error));
      throw error;
    });
    return this.#starting;
  }

  async #launch(): Promise<void> {
    const { launcher, buildVps, openLog, program } = this.settings;
    const vps = await buildVps();
    const [ours, theirs] = createSocketPair('seqpacket');
    let logFd: number | null = null;
    try {
      logFd = openLog?.() ?? null;
      const child = await launcher.launch({
        ...program(),
        directory: '/',
        descriptors: [
          [0, 0],
          [1, 1],
          [2, 2],
          [theirs, CONTROL_FD],
          ...(logFd === null ? [] : [[logFd, EGRESS_LOG_FD] as const]),
        ],
        ...vps.target,
        umask: 0o077,
        cpus: [],
      });
      const adopted = vps.adopt(
        child.pid,
        () => [child.pid],
        () => false,
      );
      adopted.catch(() => child.signal(SIGKILL));
      this.#adopt(child, vps, ours);
    } catch (error) {
      closeFd(ours);
      await vps.dispose();
      throw error;
    } finally {
      closeFd(theirs);
      if (logFd !== null) closeFd(logFd);
    }
  }

  #adopt(child: ChildProcessHandle, vps: Vps, fd: number): void {
    this.#follow(child, vps, fd);
    for (const service of this.#rules.keys()) this.#sendRules(service);
    for (const [id, { service, fd: socket }] of this.#sockets)
      this.#sendSocket(id, service, socket);
  }

  #follow(child: ChildProcessHandle, vps: Vps, fd: number): void {
    const { log } = this.settings;
    const channel = new Channel<FromEgress, ToEgress>(fd, {
      parse: (value) => fromEgressSchema.parse(value),
      onMessage: (message, fds) => {
        for (const unwanted of fds) closeFd(unwanted);
        const isHello = message.type === 'hello';
        if (fds.length > 0 || (isHello && message.version !== EGRESS_PROTOCOL_VERSION)) {
          throw new RouseError('protocol', 'not what an egress process of this version says');
        }
        pulse.answer();
      },
      onEnd: (failure) => {
        if (failure) log.error(`${failure.message}: the egress process is replaced`);
        child.signal(SIGKILL);
      },
    });
    const pulse = new Pulse(() => channel.send({ type: 'beat' }));
    const life = { fd, channel, pulse, child, vps, startedAtMs: performance.now() };
    this.#life = life;
    void child.exited.then((exit) => this.#onExit(life, describeExit(exit)));
  }

  #onExit(life: Life, how: string): void {
    life.channel.close();
    void this.settings.underway.track(life.vps.dispose());
    if (this.#life !== life) return;
    this.#life = null;
    if (performance.now() - life.startedAtMs >= HEALTHY_MS) this.#backoff.reset();
    this.#startLater(`the egress process ${how}`);
  }

  #startLater(why: string): void {
    if (!this.#isWanted) return;
    const delayMs = this.#backoff.next();
    this.settings.log.error(`${why}; an egress process starts in ${delayMs} ms`);
    this.#restart = setTimeout(() => this.#start().catch(() => {}), delayMs);
  }

  beat(counts: boolean): void {
    const wasHung = this.isHung;
    this.#life?.pulse.beat(counts);
    if (!this.isHung || wasHung) return;
    this.settings.log.error(
      { event: 'hung' },
      'the egress process gives no sign of life: it is killed and replaced',
    );
    this.#life?.child.signal(SIGKILL);
  }

  get isHung(): boolean {
    return this.#life?.pulse.isHung ?? false;
  }

  /** At once, for connections that stand too. */
  setRules(service: string, rules: readonly EgressRule[], logsAccess: boolean): void {
    this.#rules.set(service, { rules, logsAccess });
    this.#sendRules(service);
  }

  /** Its connections to the outside are broken off. */
  forget(service: string): void {
    if (!this.#rules.has(service)) return;
    this.setRules(service, [], false);
    this.#rules.delete(service);
  }

  /** Who connects to this listening socket, which stays the caller's, is `service`. */
  listen(service: string, fd: number): number {
    this.#lastId += 1;
    this.#sockets.set(this.#lastId, { service, fd });
    this.#sendSocket(this.#lastId, service, fd);
    return this.#lastId;
  }

  unlisten(id: number): void {
    if (this.#sockets.delete(id)) this.#life?.channel.send({ type: 'unlisten', id });
  }

  #sendRules(service: string): void {
    const known = this.#rules.get(service);
    if (!known || !this.#life) return;
    const fd = createMemfd('rouse-egress', JSON.stringify(known.rules));
    const { logsAccess } = known;
    this.#life.channel.send({ type: 'rules', service, logsAccess }, [fd], { closeAfter: true });
  }

  #sendSocket(id: number, service: string, fd: number): void {
    this.#life?.channel.send({ type: 'listen', service, id }, [duplicateFd(fd)], {
      closeAfter: true,
    });
  }

  /** Ends the process; `start` starts another. */
  async stop(): Promise<void> {
    this.#isWanted = false;
    if (this.#restart) clearTimeout(this.#restart);
    await this.#starting?.catch(() => {});
    const life = this.#life;
    if (life) {
      life.child.signal(SIGKILL);
      await life.child.exited;
      await life.vps.dispose();
    }
    this.settings.resolver.close();
  }
}
