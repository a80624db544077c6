import type { RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Underway } from '../base/underway.js';
import { closeFd } from '../sys/descriptors.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import { ChildProcessHandle, type ChildState, type ProcessExit } from '../sys/processes.js';
import { createSocketPair } from '../sys/sockets.js';
import { GatewayLane, type GatewayLaneSettings, type LaneState } from './gateway-lane.js';
import { FIRST_CONTROL_FD } from './gateway-program.js';
import type { Watched } from './health-check.js';
import type { Launchers } from './launchers.js';
import type { ServiceDriver } from './service-driver.js';
import type { TrafficCounters } from './traffic-counters.js';
import { restoreVps, type Vps, type VpsState } from './vps.js';

const SIGKILL = 9;

/** Which engine a lane runs; that says which protocols it takes. */
export interface LanePlan {
  readonly engine: 'native' | 'node';
}

/** What every life of every gateway needs. */
export interface GatewaySurroundings {
  readonly log: Logger;
  readonly counters: TrafficCounters;
  readonly underway: Underway;
  readonly renderMetrics: () => Promise<string>;
  readonly driverFor: (service: string) => ServiceDriver | null;
  /** All drivers, for what ends with the gateway. */
  readonly drivers: () => Iterable<ServiceDriver>;
}

export interface GatewayLifeRequest {
  readonly name: string;
  /** Names this life, as no other life of a gateway is named. */
  readonly serial: number;
  /** The first is the main thread's. */
  readonly plans: readonly LanePlan[];
  readonly launcher: Launchers;
  readonly buildVps: () => Promise<Vps>;
  /** Opens what is passed to it, for what it logs; null: it needs nothing. */
  readonly openLog: (() => number) | null;
  readonly program: Pick<
    LaunchRequest,
    'executable' | 'arguments' | 'environment' | 'identity' | 'cpus'
  >;
}

/** What an upgraded supervisor goes on with. */
export interface GatewayLifeState {
  readonly name: string;
  readonly plans: readonly LanePlan[];
  readonly child: ChildState;
  readonly vps: VpsState;
  readonly lanes: readonly LaneState[];
}

interface Parts {
  readonly name: string;
  readonly plans: readonly LanePlan[];
  readonly child: ChildProcessHandle;
  readonly vps: Vps;
}

/** One process of a gateway, from its start to its end: its VPS, its lanes. */
export class GatewayLife implements Watched {
  readonly startedAtMs = performance.now();
  readonly lanes: readonly GatewayLane[];
  /** Resolves when it has ended, and nothing of it is left. */
  readonly ended: Promise<ProcessExit>;
  #isOver = false;
  readonly #onProgress = new Set<() => void>();

  private constructor(
    private readonly parts: Parts,
    private readonly surroundings: GatewaySurroundings,
    makeLanes: (settingsOf: (epoch: string) => GatewayLaneSettings) => GatewayLane[],
  ) {
    const { child, name } = parts;
    const { log } = surroundings;
    this.lanes = makeLanes((epoch) => ({
      ...surroundings,
      ...{ name, epoch },
      onProgress: () => this.#progress(),
      onEnd: (failure: RouseError | null) => {
        if (failure) log.error({ gateway: name }, `${failure.message}: the gateway is replaced`);
        child.signal(SIGKILL);
      },
    }));
    this.ended = child.exited.then((exit) => this.#onExit(exit));
  }

  /** Starts a process. Rejects where it can't be started at all; nothing is left then. */
  static async start(
    request: GatewayLifeRequest,
    surroundings: GatewaySurroundings,
  ): Promise<GatewayLife> {
    const { buildVps, launcher, name, openLog, plans, program, serial } = request;
    const vps = await buildVps();
    const pairs = plans.map(() => createSocketPair('seqpacket'));
    let child: ChildProcessHandle;
    let logFd: number | null = null;
    try {
      logFd = openLog?.() ?? null;
      child = await launcher.launch({
        ...program,
        directory: '/',
        descriptors: [
          [0, 0],
          [1, 1],
          [2, 2],
          ...pairs.map(([, theirs], index) => [theirs, FIRST_CONTROL_FD + index] as const),
          ...(logFd === null ? [] : [[logFd, FIRST_CONTROL_FD + plans.length] as const]),
        ],
        ...vps.target,
        umask: 0o077,
      });
    } catch (error) {
      for (const [ours] of pairs) closeFd(ours);
      await vps.dispose();
      throw error;
    } finally {
      for (const [, theirs] of pairs) closeFd(theirs);
      if (logFd !== null) closeFd(logFd);
    }
    const adopted = vps.adopt(
      child.pid,
      () => [child.pid],
      () => false,
    );
    surroundings.underway.track(adopted).catch(() => child.signal(SIGKILL));
    return new GatewayLife({ name, plans, child, vps }, surroundings, (settingsOf) =>
      pairs.map(([ours], index) => new GatewayLane(ours, settingsOf(`${name}#${serial}/${index}`))),
    );
  }

  /** Goes on with the process of an earlier self. Throws `protocol` where what it speaks isn't spoken any more: then it is ended. */
  static restore(state: GatewayLifeState, surroundings: GatewaySurroundings): GatewayLife {
    const { lanes, name, plans } = state;
    const child = new ChildProcessHandle(state.child);
    const vps = restoreVps(state.vps);
    try {
      for (const lane of lanes) GatewayLane.checkSpoken(lane);
    } catch (error) {
      child.signal(SIGKILL);
      for (const { fd } of lanes) closeFd(fd);
      void surroundings.underway.track(child.exited.then(() => vps.dispose()));
      throw error;
    }
    return new GatewayLife({ name, plans, child, vps }, surroundings, (settingsOf) =>
      lanes.map((lane) => GatewayLane.restore(lane, settingsOf(lane.epoch))),
    );
  }

  /** Not to be asked for once it has ended. */
  state(): GatewayLifeState {
    const { child, name, plans, vps } = this.parts;
    const lanes = this.lanes.map((lane) => lane.state());
    return { name, plans, child: child.state(), vps: vps.state(), lanes };
  }

  get pid(): number {
    return this.parts.child.pid;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  #onExit(exit: ProcessExit): ProcessExit {
    this.#isOver = true;
    const { drivers, underway } = this.surroundings;
    void underway.track(this.parts.vps.dispose());
    for (const lane of this.lanes) {
      lane.close();
      for (const driver of drivers()) driver.dropHolder(lane);
    }
    this.#progress();
    return exit;
  }

  #progress(): void {
    for (const resume of [...this.#onProgress]) resume();
  }

  /** Resolves when a lane has said something new about itself, when the process ends, or at the signal. */
  progress(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        this.#onProgress.delete(resume);
        signal.removeEventListener('abort', resume);
        resolve();
      };
      this.#onProgress.add(resume);
      signal.addEventListener('abort', resume, { once: true });
    });
  }

  /** A gateway of which one thread hangs serves only half of what it should: it is killed. */
  beat(counts: boolean): void {
    const wasHung = this.isHung;
    for (const lane of this.lanes) lane.pulse.beat(counts);
    const hung = this.lanes.findIndex(({ pulse }) => pulse.isHung);
    if (hung < 0 || wasHung) return;
    const { name, plans } = this.parts;
    this.surroundings.log.error(
      { gateway: name, event: 'hung' },
      `a thread of the gateway (${plans[hung]?.engine} engine) gives no sign of life: the gateway is killed and replaced`,
    );
    this.kill();
  }

  get isHung(): boolean {
    return this.lanes.some(({ pulse }) => pulse.isHung);
  }

  kill(): void {
    this.parts.child.signal(SIGKILL);
  }

  /** It takes no new connections and ends its own; for the options see `ToGateway`. Resolves when it has, or at the signal. */
  async drain(signal: AbortSignal, { keepsReach = false, keepsIdle = false } = {}): Promise<void> {
    for (const lane of this.lanes) lane.drain(keepsReach, keepsIdle);
    while (!signal.aborted && !this.#isOver && this.lanes.some((lane) => !lane.hasDrained))
      await this.progress(signal);
  }

  /** Ends it; resolves when nothing of it is left. */
  end(): Promise<void> {
    this.kill();
    const { underway } = this.surroundings;
    return underway.track(this.ended.then(() => this.parts.vps.dispose()));
  }
}
