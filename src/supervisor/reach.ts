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

/** Where one VPS's service reaches others. */
export interface ReachDoor {
  readonly sockets: readonly ReachSocket[];
  close(): void;
}

export interface ReachSocket extends BoundSocket {
  /** Of the internal listener. */
  readonly name: string;
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

  /** Binds a VPS's reach addresses. Throws a `SystemError`; nothing is bound then. */
  open(service: Service, vps: Vps): ReachDoor {
    const { networkFd } = vps;
    const targets = Object.entries(service.reach);
    if (networkFd === null) {
      if (targets.length > 0)
        this.log.warn(
          { service: service.name },
          'reach needs a private network: it has no effect here',
        );
      return this.#doorOf([]);
    }
    const sockets: ReachSocket[] = [];
    const door = this.#doorOf(sockets);
    try {
      for (const [target, address] of targets) {
        const name = reachListenerName(service.name, target);
        const fd = listenIn(networkFd, { kind: 'inet', ...address }, BACKLOG);
        const socket = { name, fd, address: formatSocketAddress({ kind: 'inet', ...address }) };
        sockets.push(socket);
        this.#set(name, [...(this.#open.get(name) ?? []), socket]);
      }
      return door;
    } catch (error) {
      door.close();
      throw error;
    }
  }

  /** Of an earlier self. */
  restore(sockets: readonly ReachSocket[]): ReachDoor {
    for (const socket of sockets) {
      this.#set(socket.name, [...(this.#open.get(socket.name) ?? []), socket]);
    }
    return this.#doorOf(sockets);
  }

  #doorOf(sockets: readonly ReachSocket[]): ReachDoor {
    return {
      sockets,
      close: () => {
        for (const socket of sockets) {
          const others = (this.#open.get(socket.name) ?? []).filter((each) => each !== socket);
          this.#set(socket.name, others);
          closeFd(socket.fd);
        }
      },
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
