import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Underway } from '../base/underway.js';
import { formatUpstream } from '../config/upstream.js';
import type { ConnectionEnds, ToGateway, ToSupervisor } from '../ipc/messages.js';
import { Refusal } from '../ipc/refusals.js';
import { closeFd } from '../sys/descriptors.js';
import { ConnectionHolder } from './connection-holder.js';
import type { Instance } from './instance.js';
import type { LeaseHolder, Waiter, WaiterState } from './lease-book.js';
import type { ServiceDriver } from './service-driver.js';

type Message<Type extends ToSupervisor['type']> = Extract<ToSupervisor, { type: Type }>;

const ECONNREFUSED = 111;
const EMFILE = 24;
/** What one gateway may have under way: honest ones are bound by `limits.held`. */
const MAX_UNDER_WAY = 4096;

export interface GatewayRequestsSettings {
  /** The lane. */
  readonly holder: LeaseHolder & { readonly epoch: string };
  /** The driver of a service that this gateway's listeners lead to; null for all others. */
  readonly driverFor: (service: string) => ServiceDriver | null;
  /** Also of services that a reload took the route to away. */
  readonly anyDriver: (service: string) => ServiceDriver | null;
  readonly send: (message: ToGateway, fds?: readonly number[]) => void;
  readonly underway: Underway;
  readonly log: Logger;
}

/**
 * Answers what one gateway asks for, after checking each request against the gateway's share of the
 * config: nothing for services that none of its listeners lead to, nothing without a lease.
 */
export class GatewayRequests {
  /** Services whose lease was asked for and not answered yet. */
  readonly #asked = new Set<string>();
  /** Hand-overs and dials that are under way: each may hold a descriptor and a process. */
  #underWay = 0;

  constructor(private readonly settings: GatewayRequestsSettings) {}

  acquire(message: Message<'acquire'>): void {
    const driver = this.#driver(message.service);
    if (!driver) {
      this.settings.send({
        type: 'refused',
        service: message.service,
        code: 'no-route',
        retryAfterMs: null,
        detail: '',
      });
      return;
    }
    const { service, cause, listener, source } = message;
    if (this.#asked.has(service)) return;
    driver.acquire(this.#leaseWaiter(service), { cause, source, listener });
  }

  #leaseWaiter(service: string): Waiter {
    const { holder, send } = this.settings;
    this.#asked.add(service);
    return {
      holder,
      state: { kind: 'lane', epoch: holder.epoch },
      granted: (instance, connectionFd) => {
        this.#asked.delete(service);
        const granted = {
          type: 'granted',
          service,
          instance: instance.id,
          plans: instance.plans(),
        } as const;
        if (connectionFd === null) send({ ...granted, connected: null });
        else send({ ...granted, connected: instance.readyUpstream }, [connectionFd]);
        return connectionFd !== null;
      },
      refused: ({ code, retryAfterMs, detail }) => {
        this.#asked.delete(service);
        send({ type: 'refused', service, code, retryAfterMs, detail });
      },
    };
  }

  /** One that waited with an earlier self. */
  restoreWaiter(driver: ServiceDriver, state: WaiterState): Waiter | null {
    if (state.kind === 'lane') return this.#leaseWaiter(driver.service.name);
    return state.kind === 'connection' ? this.#connectionWaiter(driver, state) : null;
  }

  /** Also of a service that a reload took the route to away: the lease is still this holder's. */
  release({ service, instance, idleMs }: Message<'release'>): void {
    this.settings.anyDriver(service)?.release(this.settings.holder, instance, idleMs);
  }

  /** Nothing without a lease, nor for an incarnation that is over. */
  #leased(message: { service: string; instance: number; upstream: string }): Instance | null {
    const driver = this.#driver(message.service);
    const instance = driver?.holds(this.settings.holder, message.instance) ?? null;
    const isKnown = [driver?.service, instance?.service].some((service) =>
      service?.upstreams.some((upstream) => formatUpstream(upstream) === message.upstream),
    );
    return isKnown ? instance : null;
  }

  #driver(service: string): ServiceDriver | null {
    const driver = this.settings.driverFor(service);
    if (!driver)
      this.settings.log.warn({ service }, 'a gateway asked for a service that it has no route to');
    return driver;
  }

  sockets(message: Message<'sockets'>): void {
    const instance = this.#leased(message);
    let fds: number[] = [];
    try {
      fds = instance?.createSockets(message.upstream, message.count) ?? [];
    } catch (error) {
      this.settings.log.error({ err: error, service: message.service }, 'cannot create sockets');
    }
    this.settings.send({ type: 'sockets', id: message.id }, fds);
  }

  dial(message: Message<'dial'>): void {
    void this.settings.underway.track(this.#dial(message));
  }

  async #dial(message: Message<'dial'>): Promise<void> {
    const { send, log } = this.settings;
    const instance = this.#leased(message);
    if (!instance) return send({ type: 'dialed', id: message.id, errno: ECONNREFUSED });
    try {
      const isStdio = message.upstream === 'stdio';
      const dialed = isStdio
        ? await dialStdio(instance, message.ends)
        : await instance.dial(message.upstream);
      if ('fd' in dialed) send({ type: 'dialed', id: message.id, errno: 0 }, [dialed.fd]);
      else send({ type: 'dialed', id: message.id, errno: dialed.errno });
    } catch (error) {
      log.warn({ err: error, service: message.service }, 'cannot dial');
      send({ type: 'dialed', id: message.id, errno: ECONNREFUSED });
    }
  }

  /** The descriptor is this function's to close. */
  handOver(message: Message<'hand-over'>, fd: number): void {
    const { id, service, ends, listener } = message;
    const driver = this.#driver(service);
    const isStdio = driver?.service.upstreams[0]?.kind === 'stdio';
    const state = { kind: 'connection', epoch: this.settings.holder.epoch, id, fd, ends } as const;
    this.#underWay += 1;
    if (this.#underWay > MAX_UNDER_WAY) this.#handed(state, new Refusal('held-limit', 1000));
    else if (!driver || !isStdio) this.#handed(state, new Refusal('no-route'));
    else {
      const cause = { cause: 'connection', source: ends.source, listener };
      driver.acquire(this.#connectionWaiter(driver, state), cause);
    }
  }

  #handed({ id, fd }: HandOver, refusal: Refusal | null): void {
    this.#underWay -= 1;
    closeFd(fd);
    const told = refusal && {
      code: refusal.code,
      retryAfterMs: refusal.retryAfterMs,
      detail: refusal.detail,
    };
    this.settings.send({ type: 'handed', id, refusal: told });
  }

  #connectionWaiter(driver: ServiceDriver, state: HandOver): Waiter {
    const holder = new ConnectionHolder(state.ends.source);
    return {
      holder,
      state,
      granted: (instance) => {
        const served = serve(driver, holder, instance, state);
        void this.settings.underway.track(served.then((refusal) => this.#handed(state, refusal)));
        return false;
      },
      refused: (refusal) => this.#handed(state, refusal),
    };
  }
}

type HandOver = WaiterState & { kind: 'connection' };

async function dialStdio(
  instance: Instance,
  ends: ConnectionEnds,
): Promise<{ fd: number } | { errno: number }> {
  if (instance.connectionProcesses >= instance.service.limits.connections) return { errno: EMFILE };
  return instance.dialStdio(ends);
}

async function serve(
  driver: ServiceDriver,
  holder: ConnectionHolder,
  instance: Instance,
  { fd, ends }: HandOver,
): Promise<Refusal | null> {
  if (instance.connectionProcesses >= instance.service.limits.connections) {
    driver.release(holder, instance.id, 0);
    return new Refusal('connection-limit');
  }
  try {
    holder.follow(await instance.serveOn(fd, ends), driver, instance);
    return null;
  } catch (error) {
    driver.release(holder, instance.id, 0);
    return new Refusal('start-failed', null, messageOf(error));
  }
}
