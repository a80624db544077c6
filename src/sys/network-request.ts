import type { SocketAddress } from './socket-address.js';

/** What is done inside the network namespace that `networkFd` leads to. */
export type NetworkRequest = { readonly networkFd: number } & (
  | { readonly kind: 'prepare' }
  | { readonly kind: 'create'; readonly family: 'inet' | 'inet6'; readonly count: number }
  | { readonly kind: 'listen'; readonly address: SocketAddress; readonly backlog: number }
);

/** As many as one `create` may ask for. */
export const MAX_SOCKETS = 128;

/**
 * Settings of a fresh network: any port may be bound without privilege, and dialling a port that
 * nobody listens on can't connect to itself by getting that port as its own.
 */
export const NETWORK_SETTINGS = [
  ['ip_unprivileged_port_start', '0'],
  ['ip_local_port_range', '61000 65535'],
] as const;
