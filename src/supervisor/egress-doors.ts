import type { Logger } from '../base/log.js';
import type { Config, Service } from '../config/model.js';
import { closeFd } from '../sys/descriptors.js';
import { listenIn } from '../sys/namespaces.js';
import { localAddress } from '../sys/sockets.js';
import type { EgressLink } from './egress-link.js';
import type { Vps } from './vps.js';

const BACKLOG = 512;
const ANY_PORT = { kind: 'inet', host: '127.0.0.1', port: 0 } as const;

/** A service's way out of one VPS. */
export interface EgressDoor {
  /** Where the proxy takes connections, as `127.0.0.1:61042` of the VPS; null: there is none. */
  readonly address: string | null;
  readonly state: EgressDoorState | null;
  close(): void;
}

/** What an upgraded supervisor goes on with. */
export interface EgressDoorState {
  readonly service: string;
  readonly id: number;
  readonly fd: number;
}

const NO_DOOR: EgressDoor = { address: null, state: null, close() {} };

/** Gives services their way out: a proxy on the loopback of each VPS, where the egress process accepts. */
export class EgressDoors {
  constructor(
    /** null: services aren't isolated, and have every way out anyway. */
    readonly link: EgressLink | null,
    private readonly log: Logger,
  ) {}

  /** The rules of all services, from now on. Rejects where the process is needed and can't be started. */
  async configure({ services, log }: Pick<Config, 'services' | 'log'>): Promise<void> {
    const { link } = this;
    for (const { name, egress } of services) {
      if (egress.length > 0) link?.setRules(name, egress, log.access);
      else link?.forget(name);
    }
    if (services.some(({ egress }) => egress.length > 0)) await link?.start();
    else await link?.stop();
  }

  /** The service was taken out of the config. */
  forget(service: string): void {
    this.link?.forget(service);
  }

  open(service: Service, { networkFd }: Pick<Vps, 'networkFd'>): EgressDoor {
    if (service.egress.length === 0) return NO_DOOR;
    const { link } = this;
    if (networkFd === null || link === null) {
      const message = 'egress needs a private network: it has no effect here';
      this.log.warn({ service: service.name }, message);
      return NO_DOOR;
    }
    const fd = listenIn(networkFd, ANY_PORT, BACKLOG);
    return this.#doorOf(link, { service: service.name, id: link.listen(service.name, fd), fd });
  }

  /** Of an earlier self. */
  restore(state: EgressDoorState | null): EgressDoor {
    const { link } = this;
    if (state === null || link === null) return NO_DOOR;
    link.restoreSocket(state);
    return this.#doorOf(link, state);
  }

  #doorOf(link: EgressLink, state: EgressDoorState): EgressDoor {
    const { fd, id } = state;
    const bound = localAddress(fd);
    return {
      address: bound?.kind === 'inet' ? `${bound.host}:${bound.port}` : null,
      state,
      close: () => {
        link.unlisten(id);
        closeFd(fd);
      },
    };
  }

  async close(): Promise<void> {
    await this.link?.stop();
  }
}
