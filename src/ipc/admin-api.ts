import type { RefusalCode } from './refusals.js';

/** What the admin socket offers; the supervisor implements it, `src/admin` carries it to the command line. */
export interface AdminApi {
  status(): Promise<Status>;
  /** Resolves when the service is ready (or, with `wait: false`, once its start is under way). Overrides a backoff. Rejects with `start`. */
  wake(service: string, options: { wait: boolean }): Promise<ServiceStatus>;
  /** Rejects with `busy` while connections are open, unless forced. Resolves when stopped. */
  sleep(service: string, options: { force: boolean }): Promise<ServiceStatus>;
  /** Rejects with `busy` while connections are open or the service isn't running. */
  freeze(service: string): Promise<ServiceStatus>;
  /** Stops (closing connections) and starts; resolves when ready. */
  restart(service: string): Promise<ServiceStatus>;
  /** Wakes it and keeps it awake for so long, null: until `release` (or it stops). Rejects as `wake` does. */
  hold(service: string, options: { forMs: number | null }): Promise<ServiceStatus>;
  /** Ends what `hold` began. */
  release(service: string): Promise<ServiceStatus>;
  /** Changes limits, at once and for later starts, until the next reload. Rejects with `usage`, or `isolation` where one can't be had here. */
  set(service: string, limits: Readonly<Record<string, string>>): Promise<ServiceStatus>;
  explain(service: string): Promise<Explanation>;
  /** What the service printed: the last `lines` lines, then, with `follow`, all that comes until `signal`. */
  logs(
    service: string,
    options: { lines: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<string>;
  /** Where another version is installed than the one that runs, the beginning of an upgrade instead. */
  reload(): Promise<ReloadReport | UpgradePlan>;
  /** Resolves when the installed program has said that it can take over, which it does then. Rejects with `upgrade`. */
  upgrade(): Promise<UpgradePlan>;
  /** What the last upgrade came to, when it has: asked of whoever answers by then. Rejects with `upgrade`. */
  upgraded(): Promise<UpgradeReport>;
  /** Every change of a service's state, until `signal`. */
  events(signal: AbortSignal): AsyncIterable<StateEvent>;
}

export type ServiceState = 'stopped' | 'starting' | 'running' | 'frozen' | 'stopping' | 'failed';

export interface StateEvent {
  readonly at: string;
  readonly service: string;
  readonly from: ServiceState;
  readonly to: ServiceState;
  /** In words: `woken by 127.0.0.1:5432 on web`, `ready in 41 ms`, `idle for 20 ms`, `exit code 1`. */
  readonly reason: string;
}

export interface ServiceStatus {
  readonly name: string;
  readonly state: ServiceState;
  /** The instance's first process as the host sees it. */
  readonly pid: number | null;
  readonly since: string;
  /** Relayed and open, without held ones; for HTTP: requests in flight and upgraded connections. */
  readonly connections: number;
  readonly held: number;
  readonly requests: { readonly inFlight: number; readonly total: number };
  readonly starts: number;
  readonly failures: number;
  readonly coldStart: {
    readonly lastMs: number | null;
    readonly p50Ms: number | null;
    readonly p99Ms: number | null;
  };
  readonly lastWake: {
    readonly at: string;
    readonly cause: string;
    readonly source: string | null;
  } | null;
  readonly lastExit: ExitStatus | null;
  /** Why it failed and when it may be tried again; null unless `failed`. */
  readonly failure: Failure | null;
}

export interface ExitStatus {
  readonly at: string;
  readonly code: number | null;
  readonly signal: string | null;
}

export interface Failure {
  readonly reason: string;
  readonly retryAt: string | null;
  /** The last lines that the service printed. */
  readonly output: readonly string[];
}

export interface ListenerStatus {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly protocol: string;
  readonly gateway: string;
  readonly accepted: number;
  readonly refused: number;
}

export interface GatewayStatus {
  readonly name: string;
  readonly pid: number | null;
  readonly engine: string;
  /** In words: what isolates it here, `none` where nothing does. */
  readonly isolation: string;
  readonly restarts: number;
}

export interface Status {
  readonly services: readonly ServiceStatus[];
  readonly listeners: readonly ListenerStatus[];
  readonly gateways: readonly GatewayStatus[];
  /** What the config asks for and this machine can't enforce (`enforce: best-effort`), one sentence each; left out where there is none. */
  readonly unenforced?: readonly string[];
  readonly supervisor: {
    readonly pid: number;
    readonly version: string;
    readonly uptimeMs: number;
  };
}

/** In words: which kind, what is enforced, by what (or why it isn't). */
export interface IsolationRow {
  readonly kind: string;
  readonly what: string;
  readonly by: string;
}

export interface Explanation {
  readonly service: string;
  readonly status: ServiceStatus;
  /** Why it is awake or asleep, one sentence each. */
  readonly why: readonly string[];
  readonly leases: readonly {
    readonly holder: string;
    readonly since: string;
    readonly connections: number;
    readonly requests: number;
  }[];
  /** What is enforced for it on this machine, one row for each kind of isolation. */
  readonly isolation: readonly IsolationRow[];
  readonly idle: { readonly freezeAt: string | null; readonly stopAt: string | null };
  readonly lastOutput: readonly string[];
  readonly refusals: Readonly<Partial<Record<RefusalCode, number>>>;
}

export interface UpgradePlan {
  /** Versions. */
  readonly from: string;
  readonly to: string;
}

export interface UpgradeReport extends UpgradePlan {
  readonly tookMs: number;
  /** The configuration is read again with an upgrade. */
  readonly reload: ReloadReport;
}

export interface ReloadReport {
  readonly generation: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  /** Changed, and awake: they take the new settings at their next start. */
  readonly deferred: readonly string[];
}
