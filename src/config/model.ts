/**
 * The configuration as the rest of rouse sees it: checked, with every default filled in, paths
 * absolute, durations in milliseconds and sizes in bytes. `load` makes it from YAML.
 */

export type Protocol = 'tcp' | 'tls' | 'http' | 'https' | 'udp';

/** A port range is expanded into one address a port. Port 0: the kernel chooses. */
export type ListenAddress =
  | { readonly kind: 'ip'; readonly host: string; readonly port: number; readonly family: 4 | 6 }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'systemd'; readonly name: string };

/** CIDRs in canonical form; `null` allow: all. The most specific match wins; a tie denies. */
export interface Access {
  readonly allow: readonly string[] | null;
  readonly deny: readonly string[];
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Listener {
  readonly name: string;
  readonly addresses: readonly ListenAddress[];
  readonly protocol: Protocol;
  readonly certificates: readonly Certificate[];
  /** `https`: every request is answered with a 308 to the same place on https. */
  readonly redirect: 'https' | null;
  readonly access: Access;
  /** CIDRs whose X-Forwarded-* and Forwarded are believed. */
  readonly trustedProxies: readonly string[];
  readonly backlog: number;
}

export type Upstream =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'socket' }
  | { readonly kind: 'stdio' };

/** All keys given must match. Names are lower case, without trailing dot and port. */
export interface Route {
  readonly listener: string | null;
  /** `*.example.com` stands for exactly one more label on the left. */
  readonly host: string | null;
  readonly sni: string | null;
  readonly destination: { readonly cidr: string; readonly port: number | null } | null;
  /** Index into the service's `upstreams`. */
  readonly upstream: number;
}

export type Ready =
  | { readonly kind: 'connect' }
  | { readonly kind: 'notify' }
  | { readonly kind: 'http'; readonly path: string }
  /** `socket` and `stdio` upstreams: the kernel queues. */
  | { readonly kind: 'none' };

export interface Idle {
  /** Milliseconds since the last use; null: this stage is left out. Both null: `idle: never`. */
  readonly freezeMs: number | null;
  readonly stopMs: number | null;
  readonly quietMs: number;
  /** A frozen service's memory is pushed out to swap and files. */
  readonly reclaim: boolean;
  /** The service may keep itself awake, by `ROUSE_HOLD=1` to its NOTIFY_SOCKET. */
  readonly hold: boolean;
}

export interface Limits {
  readonly connections: number;
  readonly held: number;
  readonly heldAgeMs: number;
  readonly perSource: number | null;
  readonly rate: { readonly count: number; readonly perMs: number } | null;
}

export interface Run {
  readonly command: readonly string[];
  readonly directory: string | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly environmentFile: string | null;
  readonly user: string | null;
  readonly group: string | null;
  readonly groups: readonly string[];
  readonly umask: number;
  readonly nice: number | null;
  /** Names as in prlimit(1): nofile, nproc, core …; `Infinity` is unlimited. */
  readonly rlimits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
}

export interface Isolation {
  readonly network: 'private' | 'host';
  readonly writable: readonly string[];
  readonly readable: readonly string[];
  readonly hidden: readonly string[];
  /** A directory of its own that outlives it. */
  readonly state: boolean;
}

/** Both ends belong to it. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** What a service may connect to outside: targets by name, or targets by address in a block. */
export type EgressRule =
  /** Lower case, punycode; `*.example.com` stands for exactly one more label on the left. */
  | { readonly kind: 'name'; readonly name: string; readonly ports: PortRange }
  | { readonly kind: 'block'; readonly cidr: string; readonly ports: PortRange };

export interface Service {
  readonly name: string;
  readonly routes: readonly Route[];
  readonly run: Run;
  /** [0] is the service's own `upstream`; routes that override it add theirs. */
  readonly upstreams: readonly Upstream[];
  /** Address that the service reaches in its VPS → service that answers there. */
  readonly reach: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  /** Empty: the service has no way out. */
  readonly egress: readonly EgressRule[];
  readonly ready: Ready;
  readonly startTimeoutMs: number;
  readonly idle: Idle;
  readonly stopSignal: string;
  readonly stopTimeoutMs: number;
  readonly limits: Limits;
  readonly access: Access;
  readonly resources: {
    readonly memoryBytes: number | null;
    /** Per cent of one CPU. */
    readonly cpuPercent: number | null;
    readonly tasks: number | null;
    /** 1 to 10000 against the 100 of others. */
    readonly ioWeight: number | null;
    /** Of each private tmpfs: /tmp, /var/tmp, /run, /dev/shm. */
    readonly tmpBytes: number | null;
    readonly descriptors: number | null;
  };
  readonly isolation: Isolation;
  readonly cpus: readonly number[];
}

export interface GatewaySettings {
  readonly name: string;
  readonly listeners: readonly string[];
  readonly engine: 'native' | 'node';
  readonly threads: number;
  readonly cpus: readonly number[];
}

export type Enforce = 'required' | 'best-effort' | 'none';

export interface Config {
  /** The main file; null when the configuration came from the command line. */
  readonly file: string | null;
  readonly listeners: readonly Listener[];
  readonly services: readonly Service[];
  readonly gateways: readonly GatewaySettings[];
  readonly enforce: Enforce;
  readonly startParallel: number;
  readonly drainTimeoutMs: number;
  readonly upgradeTimeoutMs: number;
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
    readonly access: boolean;
  };
  readonly admin: { readonly group: string | null };
  readonly metrics: { readonly address: ListenAddress } | null;
}
