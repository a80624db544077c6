import type { ToGateway, ToSupervisor } from '../ipc/messages.js';
import { Refusal } from '../ipc/refusals.js';
import type { Demand } from './engine.js';

const ECONNREFUSED = 111;

type Answer<Type extends ToGateway['type']> = Extract<ToGateway, { type: Type }>;

/** What a gateway asks of the supervisor and waits for, one answer each. */
export class SupervisorLink {
  readonly #sockets = new Map<number, (fds: number[]) => void>();
  readonly #dials = new Map<number, (dialed: { fd: number | null; errno: number }) => void>();
  readonly #handOvers = new Map<
    number,
    { resolve: () => void; reject: (refusal: Refusal) => void }
  >();
  readonly #metrics = new Map<number, (fd: number | null) => void>();
  #lastId = 0;

  constructor(readonly send: (message: ToSupervisor, fds?: readonly number[]) => void) {}

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** Unconnected sockets of the instance's network, the caller's from here on; none: it is gone. */
  sockets(service: string, instance: number, upstream: string, count: number): Promise<number[]> {
    const id = this.#nextId();
    this.send({ type: 'sockets', id, service, instance, upstream, count });
    return new Promise((resolve) => this.#sockets.set(id, resolve));
  }

  /** One connection that the supervisor makes, or errno. */
  dial(
    service: string,
    instance: number,
    demand: Demand,
  ): Promise<{ fd: number | null; errno: number }> {
    const id = this.#nextId();
    const { upstream, source, destination } = demand;
    this.send({ type: 'dial', id, service, instance, upstream, ends: { source, destination } });
    return new Promise((resolve) => this.#dials.set(id, resolve));
  }

  /** Passes a connection on to a process of its own; the descriptor stays the caller's. Rejects with a `Refusal`. */
  handOver({ service, listener, source, destination }: Demand, fd: number): Promise<void> {
    const id = this.#nextId();
    this.send({ type: 'hand-over', id, service, listener, ends: { source, destination } }, [fd]);
    return new Promise((resolve, reject) => this.#handOvers.set(id, { resolve, reject }));
  }

  /** A memfd of the metrics' text, the caller's from here on. */
  metrics(): Promise<number | null> {
    const id = this.#nextId();
    this.send({ type: 'metrics', id });
    return new Promise((resolve) => this.#metrics.set(id, resolve));
  }

  /** Takes an answer; false: nobody asked, and the descriptors stay the caller's. */
  settle(
    message: Answer<'sockets'> | Answer<'dialed'> | Answer<'handed'> | Answer<'metrics'>,
    fds: number[],
  ): boolean {
    switch (message.type) {
      case 'sockets':
        return take(this.#sockets, message.id, (resolve) => resolve(fds));
      case 'dialed': {
        const fd = fds[0] ?? null;
        const errno = fd === null ? message.errno || ECONNREFUSED : 0;
        return take(this.#dials, message.id, (resolve) => resolve({ fd, errno }));
      }
      case 'metrics':
        return take(this.#metrics, message.id, (resolve) => resolve(fds[0] ?? null));
      case 'handed':
        return take(this.#handOvers, message.id, ({ resolve, reject }) => {
          const { refusal } = message;
          if (refusal) reject(new Refusal(refusal.code, refusal.retryAfterMs, refusal.detail));
          else resolve();
        });
    }
  }
}

function take<T>(table: Map<number, T>, id: number, act: (waiting: T) => void): boolean {
  const waiting = table.get(id);
  table.delete(id);
  if (waiting === undefined) return false;
  act(waiting);
  return true;
}
