import type { SocketAddress } from './socket-address.js';

/** What is done inside the network namespace that `networkFd` leads to. */
export type NetworkRequest = { readonly networkFd: number } & (
  | { readonly kind: 'prepare'; readonly dialledPorts: readonly number[] }
  | { readonly kind: 'create'; readonly family: 'inet' | 'inet6'; readonly count: number }
  | { readonly kind: 'listen'; readonly address: SocketAddress; readonly backlog: number }
);

/** As many as one `create` may ask for. */
export const MAX_SOCKETS = 128;

/**
 * Settings of a fresh network (ip-sysctl.rst of Linux): any port may be bound without privilege, and
 * dialling one of `dialledPorts` while nobody listens there can't connect to itself by getting that
 * port as its own. A connection keeps its port for a minute after its end (TIME_WAIT): with few ports
 * a short-lived connection costs several times as much, since the kernel looks for one that is free.
 */
export function networkSettings(dialledPorts: readonly number[]): readonly [string, string][] {
  return [
    ['ip_unprivileged_port_start', '0'],
    ['ip_local_port_range', '32768 65535'],
    ['ip_local_reserved_ports', dialledPorts.join(',')],
  ];
}
