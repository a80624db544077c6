/** Bounds on what clients may take, all in milliseconds unless the name says otherwise. */
export interface EngineLimits {
  /** For a ClientHello, or a TLS handshake, since the connection was accepted. */
  readonly helloMs: number;
  /** For a request head since its first byte (the first one: since the connection was accepted). */
  readonly headMs: number;
  /** For the next byte of a request body that is being waited for. */
  readonly bodyMs: number;
  /** For the client to take any more of what is there for it. */
  readonly sendMs: number;
  /** A keep-alive connection without a request. Clients are told a little less. */
  readonly idleMs: number;
  /** A pooled connection to an upstream: less than the 5 s after which common servers close it. */
  readonly pooledMs: number;
  readonly backlog: number;
  /** The process's descriptor limit; undefined: as the kernel says. */
  readonly descriptorLimit: number | undefined;
}

export const DEFAULT_LIMITS: EngineLimits = {
  helloMs: 10_000,
  headMs: 10_000,
  bodyMs: 60_000,
  sendMs: 60_000,
  idleMs: 75_000,
  pooledMs: 4_000,
  backlog: 4096,
  descriptorLimit: undefined,
};
