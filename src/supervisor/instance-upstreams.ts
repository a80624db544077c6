import { RouseError } from '../base/errors.js';
import type { Service } from '../config/model.js';
import { formatUpstream, parseUpstream } from '../config/upstream.js';
import type { DialPlan } from '../ipc/messages.js';
import { closeFd, setNonBlocking } from '../sys/descriptors.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import { listenIn } from '../sys/namespaces.js';
import { listenOn, localAddress } from '../sys/sockets.js';
import {
  createSocketsFor,
  type DialableUpstream,
  type Dialed,
  dialUpstream,
  planFor,
} from './upstream-dialer.js';
import type { Vps } from './vps.js';

const SOCKET_UPSTREAM_BACKLOG = 4096;
const ECONNREFUSED = 111;

/** Where one incarnation takes connections, by the keys of its upstreams. It owns the socket that a `socket` upstream inherits. */
export class InstanceUpstreams {
  #socketAddress: DialableUpstream | null = null;
  #listeningFd: number | null = null;

  /** `listeningFd`: of an earlier self. */
  constructor(
    private readonly service: Service,
    private readonly vps: Vps,
    private readonly identity: LaunchRequest['identity'],
    listeningFd: number | null,
  ) {
    if (listeningFd !== null) this.#takeSocket(listeningFd);
  }

  /** What the program inherits; null: it has no `socket` upstream, or that isn't bound yet. */
  get listeningFd(): number | null {
    return this.#listeningFd;
  }

  /** Binds what a `socket` upstream inherits. */
  bindSocket(): void {
    if (!this.service.upstreams.some(({ kind }) => kind === 'socket')) return;
    const { networkFd } = this.vps;
    const anyPort = { kind: 'inet', host: '127.0.0.1', port: 0 } as const;
    const fd =
      networkFd === null
        ? listenOn(anyPort, SOCKET_UPSTREAM_BACKLOG)
        : listenIn(networkFd, anyPort, SOCKET_UPSTREAM_BACKLOG);
    setNonBlocking(fd, false);
    this.#takeSocket(fd);
  }

  #takeSocket(fd: number): void {
    this.#listeningFd = fd;
    const address = localAddress(fd);
    if (address?.kind !== 'inet')
      throw new RouseError('start', 'the listening socket has no address');
    this.#socketAddress = { kind: 'tcp', host: address.host, port: address.port };
  }

  /** How a gateway reaches each. */
  plans(): Record<string, DialPlan> {
    const keys = this.service.upstreams.map(formatUpstream);
    return Object.fromEntries(
      keys.map((key) => {
        const target = this.#targetOf(key);
        return [key, target ? planFor(this.vps, target) : { kind: 'ask' }];
      }),
    );
  }

  /** Sockets in the service's network; none where gateways don't get such. */
  createSockets(upstream: string, count: number): number[] {
    const target = this.#targetOf(upstream);
    return target?.kind === 'tcp' ? createSocketsFor(this.vps, target, count) : [];
  }

  async dial(upstream: string): Promise<Dialed> {
    const target = this.#targetOf(upstream);
    return target ? dialUpstream(this.vps, target, this.identity) : { errno: ECONNREFUSED };
  }

  /** null: nothing that can be dialled. */
  #targetOf(key: string): DialableUpstream | null {
    const upstream = parseUpstream(key);
    if (upstream.kind === 'tcp' || upstream.kind === 'unix') return upstream;
    return upstream.kind === 'socket' ? this.#socketAddress : null;
  }

  close(): void {
    if (this.#listeningFd !== null) closeFd(this.#listeningFd);
    this.#listeningFd = null;
  }
}
