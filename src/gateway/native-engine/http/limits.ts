/** Bounds on what HTTP clients and pooled connections may take, in milliseconds. */
export interface HttpLimits {
  /** For a request head since its first byte. */
  readonly headMs: number;
  /** For the next byte of a request body that is being waited for. */
  readonly bodyMs: number;
  /** For the client to take any more of what is there for it. */
  readonly sendMs: number;
  /** A keep-alive connection without a request. */
  readonly idleMs: number;
  /** A pooled connection to an upstream: less than the 5 s after which common servers close it. */
  readonly pooledMs: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  headMs: 10_000,
  bodyMs: 60_000,
  sendMs: 60_000,
  idleMs: 75_000,
  pooledMs: 4_000,
};
