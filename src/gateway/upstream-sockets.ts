import { isIPv6, Socket } from 'node:net';
import type { DialPlan } from '../ipc/messages.js';
import { Refusal } from '../ipc/refusals.js';
import { closeFd } from '../sys/descriptors.js';
import { errnoName } from '../sys/libc.js';
import type { Demand, UpstreamSocket } from './engine.js';
import type { SupervisorLink } from './supervisor-link.js';

/** Handed-in sockets that are ordered at once: at first, and at most. */
const FIRST_BATCH = 4;
const MAX_BATCH = 128;
/** Orders that follow each other faster than that grow, others start small: hundreds of services hold few sockets. */
const FAST_MS = 100;
/** A server that is ready may refuse for a moment (its backlog is full, it reloads). */
const RETRY_FIRST_MS = 2;
const RETRY_FOR_MS = 1000;
const RETRIED = new Set(['ECONNREFUSED', 'EAGAIN']);

interface Pool {
  readonly fds: number[];
  /** An order that is under way: all who wait for a socket wait for it. */
  order: Promise<void> | null;
  batch: number;
  /** When the last order came. */
  orderedMs: number;
  waiting: number;
}

/** One incarnation's sockets: unconnected ones that the supervisor handed in, and the first connection. */
export class UpstreamSockets {
  readonly #pools = new Map<string, Pool>();
  /** The connection that proved the instance ready, and to which upstream. */
  #first: { readonly fd: number; readonly upstream: string } | null = null;
  #isClosed = false;

  constructor(
    private readonly link: SupervisorLink,
    private readonly service: string,
    private readonly instance: number,
    private readonly plans: Readonly<Record<string, DialPlan>>,
  ) {}

  /** The connection that proved the instance ready serves the first dial of that upstream. */
  offer(fd: number, upstream: string): void {
    this.#first = { fd, upstream };
  }

  #takeFirst(upstream: string): number | null {
    if (this.#first?.upstream !== upstream) return null;
    const { fd } = this.#first;
    this.#first = null;
    return fd;
  }

  /** An upstream that came with a later config is dialled by the supervisor. */
  #planOf(upstream: string): DialPlan {
    return this.plans[upstream] ?? { kind: 'ask' };
  }

  /** A connection to the demand's upstream. Rejects with a `Refusal` of code `upstream-unreachable`. */
  async dial(demand: Demand): Promise<Socket> {
    const first = this.#takeFirst(demand.upstream);
    if (first !== null) return openSocket(first);
    const untilMs = performance.now() + RETRY_FOR_MS;
    for (let delayMs = RETRY_FIRST_MS; ; delayMs *= 2) {
      const dialed = await this.#dialOnce(demand);
      if (dialed instanceof Socket) return dialed;
      if (this.#isClosed || !RETRIED.has(dialed) || performance.now() > untilMs) {
        throw new Refusal('upstream-unreachable', null, dialed);
      }
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  /** A socket for the demand's upstream, if one is in hand. */
  take({ upstream }: Demand): UpstreamSocket | null {
    const first = this.#takeFirst(upstream);
    if (first !== null) return { fd: first, target: null };
    const plan = this.#planOf(upstream);
    const pool = this.#pools.get(upstream);
    if (plan.kind !== 'inet' || !pool) return null;
    const fd = pool.fds.pop();
    if (pool.fds.length < pool.batch / 4) pool.order ??= this.#order(upstream, pool);
    return fd === undefined ? null : { fd, target: plan };
  }

  /** As `take`, waiting for the supervisor. Rejects with a `Refusal`. */
  async awaitSocket(demand: Demand): Promise<UpstreamSocket> {
    const inHand = this.take(demand);
    if (inHand) return inHand;
    const plan = this.#planOf(demand.upstream);
    if (plan.kind === 'inet') {
      const fd = await this.#take(demand.upstream);
      if (fd !== null) return { fd, target: plan };
      throw new Refusal('upstream-unreachable', null, 'the instance is gone');
    }
    const untilMs = performance.now() + RETRY_FOR_MS;
    for (let delayMs = RETRY_FIRST_MS; ; delayMs *= 2) {
      const { fd, errno } = await this.link.dial(this.service, this.instance, demand);
      if (fd !== null) return { fd, target: null };
      if (this.#isClosed || !RETRIED.has(errnoName(errno)) || performance.now() > untilMs) {
        throw new Refusal('upstream-unreachable', null, errnoName(errno));
      }
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  /** A connected socket, or the name of the error. */
  async #dialOnce(demand: Demand): Promise<Socket | string> {
    if (this.#isClosed) return 'ECONNREFUSED';
    const plan = this.#planOf(demand.upstream);
    if (plan.kind === 'ask') {
      const { fd, errno } = await this.link.dial(this.service, this.instance, demand);
      return fd === null ? errnoName(errno) : openSocket(fd);
    }
    const fd = await this.#take(demand.upstream);
    return fd === null ? 'ECONNREFUSED' : connectSocket(fd, plan);
  }

  async #take(upstream: string): Promise<number | null> {
    const pool = this.#pools.get(upstream) ?? {
      fds: [],
      order: null,
      batch: FIRST_BATCH,
      orderedMs: Number.NEGATIVE_INFINITY,
      waiting: 0,
    };
    this.#pools.set(upstream, pool);
    while (pool.fds.length === 0) {
      if (this.#isClosed) return null;
      const before = pool.order;
      pool.order ??= this.#order(upstream, pool);
      pool.waiting += 1;
      await pool.order;
      pool.waiting -= 1;
      if (pool.fds.length === 0 && before === null) return null;
    }
    const fd = pool.fds.pop() ?? null;
    if (pool.fds.length < pool.batch / 4) pool.order ??= this.#order(upstream, pool);
    return fd;
  }

  async #order(upstream: string, pool: Pool): Promise<void> {
    await Promise.resolve();
    const count = Math.min(MAX_BATCH, Math.max(pool.batch, pool.waiting));
    const fds = await this.link.sockets(this.service, this.instance, upstream, count);
    pool.order = null;
    const nowMs = performance.now();
    pool.batch = nowMs - pool.orderedMs < FAST_MS ? Math.min(MAX_BATCH, 2 * count) : FIRST_BATCH;
    pool.orderedMs = nowMs;
    if (this.#isClosed) for (const fd of fds) closeFd(fd);
    else pool.fds.push(...fds);
  }

  /** The lease ends: what isn't connected is closed. */
  close(): void {
    this.#isClosed = true;
    for (const { fds } of this.#pools.values()) for (const fd of fds.splice(0)) closeFd(fd);
    if (this.#first) closeFd(this.#first.fd);
    this.#first = null;
  }
}

/** A connected descriptor as a socket that reads nothing before somebody listens. */
function openSocket(fd: number): Socket {
  return new Socket({
    fd,
    readable: true,
    writable: true,
    allowHalfOpen: true,
    manualStart: true,
  } as ConstructorParameters<typeof Socket>[0]);
}

function connectSocket(
  fd: number,
  { host, port }: { host: string; port: number },
): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = openSocket(fd);
    const onError = (error: NodeJS.ErrnoException) => {
      socket.destroy();
      resolve(error.code ?? error.message);
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      if (isConnectedToItself(socket)) {
        socket.destroy();
        resolve('ECONNREFUSED');
      } else resolve(socket);
    });
    socket.pause();
    socket.connect({ host, port, family: isIPv6(host) ? 6 : 4 });
  });
}

/** Two sockets that dial a port nobody listens on can meet themselves (TCP simultaneous open). */
function isConnectedToItself(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}
