import type { Upstream } from '../config/model.js';
import type { DialPlan } from '../ipc/messages.js';
import { closeFd } from '../sys/descriptors.js';
import { createSocketsIn } from '../sys/namespaces.js';
import { watchFd } from '../sys/poller.js';
import {
  type ConnectResult,
  createStreamSocket,
  finishConnect,
  startConnect,
} from '../sys/sockets.js';
import { connectUnixInRoot } from '../sys/unix-in-root.js';
import type { Vps } from './vps.js';

export type Dialed = { readonly fd: number } | { readonly errno: number };

const CONNECT_TIMEOUT_MS = 5000;
const ETIMEDOUT = 110;

export type InetUpstream = { readonly kind: 'tcp'; readonly host: string; readonly port: number };
/** Where an instance can be reached: `socket` upstreams have become the address that was bound for them. */
export type DialableUpstream = InetUpstream | { readonly kind: 'unix'; readonly path: string };

function socketFor(vps: Vps, host: string): number {
  const family = familyOf(host);
  if (vps.networkFd === null) return createStreamSocket(family);
  return createSocketsIn(vps.networkFd, family, 1)[0] as number;
}

/** Unconnected sockets in the VPS's own network, for a gateway to connect. */
export function createSocketsFor(vps: Vps, upstream: InetUpstream, count: number): number[] {
  if (vps.networkFd === null) return [];
  return createSocketsIn(vps.networkFd, familyOf(upstream.host), count);
}

function familyOf(host: string): 'inet' | 'inet6' {
  return host.includes(':') ? 'inet6' : 'inet';
}

/**
 * How a gateway reaches an upstream: only sockets that lead nowhere but into the service's own
 * network are handed out unconnected.
 */
export function planFor(vps: Vps, upstream: Upstream | DialableUpstream): DialPlan {
  if (upstream.kind !== 'tcp' || vps.networkFd === null) return { kind: 'ask' };
  return { kind: 'inet', host: upstream.host, port: upstream.port };
}

/** One connection to an upstream, or why there is none. */
export async function dialUpstream(
  vps: Vps,
  upstream: DialableUpstream,
  identity: { uid: number; gid: number } | null,
): Promise<Dialed> {
  if (upstream.kind === 'unix') return connectUnixInRoot(vps.root, upstream.path, identity);
  const fd = socketFor(vps, upstream.host);
  let result = startConnect(fd, { kind: 'inet', host: upstream.host, port: upstream.port });
  if (result === 'in-progress') result = await untilConnected(fd);
  if (result === 'connected') return { fd };
  closeFd(fd);
  return { errno: result === 'in-progress' ? ETIMEDOUT : result.errno };
}

function untilConnected(fd: number): Promise<ConnectResult> {
  return new Promise((resolve) => {
    const settle = (result: ConnectResult) => {
      clearTimeout(timeout);
      watch.close();
      resolve(result);
    };
    const watch = watchFd(fd, { write: true }, () => settle(finishConnect(fd)));
    const timeout = setTimeout(() => settle({ errno: ETIMEDOUT }), CONNECT_TIMEOUT_MS);
  });
}
