import type { Logger } from '../base/log.js';
import type { Service } from '../config/model.js';
import { closeFd } from '../sys/descriptors.js';
import { listenIn } from '../sys/namespaces.js';
import { formatSocketAddress } from '../sys/socket-address.js';
import type { BoundSocket } from './listener-sockets.js';
import type { Vps } from './vps.js';

const BACKLOG = 4096;
const MAX_NAME_LENGTH = 64;

/** The internal listener on which `service` reaches `target`. */
export function reachListenerName(service: string, target: string): string {
  return `${service}>${target}`.slice(0, MAX_NAME_LENGTH);
}

export interface ReachListener {
  listen(name: string, sockets: readonly BoundSocket[]): void;
  unlisten(name: string): void;
}

/**
 * Lets services meet: binds the addresses of `reach` inside a VPS; a gateway accepts there and leads
 * to the service named, as from any listener.
 */
export class Reach {
  constructor(
    private readonly gateway: ReachListener,
    private readonly log: Logger,
  ) {}

  /** Of the VPS in use, and of the spare. */
  readonly #open = new Map<string, readonly BoundSocket[]>();

  /** Everything that is bound now, for a gateway that just started. */
  get sockets(): ReadonlyMap<string, readonly BoundSocket[]> {
    return this.#open;
  }

  /** Binds a VPS's reach addresses; the function returned closes them. */
  open(service: Service, vps: Vps): () => void {
    const { networkFd } = vps;
    const targets = Object.entries(service.reach);
    if (networkFd === null || targets.length === 0) {
      if (targets.length > 0)
        this.log.warn(
          { service: service.name },
          'reach needs a private network: it has no effect here',
        );
      return () => {};
    }
    const opened = targets.map(([target, address]) => {
      const name = reachListenerName(service.name, target);
      const fd = listenIn(networkFd, { kind: 'inet', ...address }, BACKLOG);
      const socket = { fd, address: formatSocketAddress({ kind: 'inet', ...address }) };
      this.#set(name, [...(this.#open.get(name) ?? []), socket]);
      return { name, socket };
    });
    return () => {
      for (const { name, socket } of opened) {
        this.#set(
          name,
          (this.#open.get(name) ?? []).filter((each) => each !== socket),
        );
        closeFd(socket.fd);
      }
    };
  }

  #set(name: string, sockets: readonly BoundSocket[]): void {
    if (this.#open.has(name)) this.gateway.unlisten(name);
    this.#open.delete(name);
    if (sockets.length === 0) return;
    this.#open.set(name, sockets);
    this.gateway.listen(name, sockets);
  }
}
