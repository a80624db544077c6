import { closeFd } from '../../sys/descriptors.js';
import { errnoName } from '../../sys/libc.js';
import type { NativeLoop } from '../../sys/native-loop.js';
import { startConnecting } from '../../sys/stream-io.js';
import type { UpstreamSocket, Use } from '../engine.js';

/** A server that is ready may refuse for a moment: dialled again at growing intervals, in milliseconds. */
const REDIAL_FIRST_MS = 2;
const REDIAL_FOR_MS = 1000;

export interface DialerOwner {
  /**
   * The descriptor is the owner's; one that isn't connected is told by EPOLLOUT, or calls for `redial`.
   * `target`: where it leads; null: the supervisor connected it.
   */
  onSocket(fd: number, isConnected: boolean, target: UpstreamSocket['target']): void;
  /** Something else than a refused connection, or that for too long. */
  onDialFailed(thrown: unknown): void;
}

/** Dials the upstream of a use through the sockets that were handed in. */
export class Dialer {
  #redialMs = REDIAL_FIRST_MS;
  /** When it was refused first. */
  #sinceMs = 0;
  #isOver = false;
  #isWaiting = false;

  constructor(
    private readonly use: Use,
    private readonly loop: NativeLoop,
    private readonly owner: DialerOwner,
  ) {}

  dial(): void {
    try {
      const socket = this.use.takeSocket();
      if (socket) this.connect(socket);
      else this.#wait();
    } catch (thrown) {
      this.owner.onDialFailed(thrown);
    }
  }

  #wait(): void {
    this.loop.needTurn();
    this.use
      .awaitSocket()
      .then((socket) => {
        if (this.#isOver) closeFd(socket.fd);
        else this.connect(socket);
      })
      .catch((thrown) => this.owner.onDialFailed(thrown));
  }

  connect({ fd, target }: UpstreamSocket): void {
    if (target === null) return this.owner.onSocket(fd, true, null);
    const errno = startConnecting(fd, target);
    if (errno === 0) return this.owner.onSocket(fd, false, target);
    this.loop.forget(fd);
    closeFd(fd);
    this.owner.onDialFailed(new Error(`connect: ${errnoName(errno)}`));
  }

  /** The connection was refused: dials again a little later. */
  redial(): void {
    if (this.#isWaiting) return;
    if (this.#sinceMs === 0) this.#sinceMs = performance.now();
    if (performance.now() - this.#sinceMs > REDIAL_FOR_MS) {
      return this.owner.onDialFailed(new Error('connection refused'));
    }
    this.#isWaiting = true;
    setTimeout(() => {
      this.#isWaiting = false;
      if (!this.#isOver) this.dial();
    }, this.#redialMs);
    this.#redialMs *= 2;
    this.loop.needTurn();
  }

  /** Nobody waits for a connection any more. */
  stop(): void {
    this.#isOver = true;
  }
}
