import type { NativeLoop } from '../../../sys/native-loop.js';
import { sendAtOnce } from '../../../sys/stream-io.js';
import { PEER_EVENTS } from './peer.js';
import { UpstreamConnection } from './upstream-connection.js';

const MAX_IDLE = 1024;
/** Servers say when they close an idle connection; we are that much earlier. */
const HINT_MARGIN_MS = 1000;

/** What all pools of a thread share. */
export interface PoolSettings {
  readonly loop: NativeLoop;
  readonly pooledMs: number;
  /** Idle connections in all pools: they may only use descriptors that nobody else needs. */
  readonly maxIdle: number;
  idle: number;
}

/** The keep-alive connections to one upstream of one instance. */
export class UpstreamPool {
  /** The instance is no more, or another pool has taken this one's place. */
  isClosed = false;
  /** The one that was used last comes last. */
  readonly #idle: UpstreamConnection[] = [];
  readonly #open = new Set<UpstreamConnection>();

  constructor(private readonly settings: PoolSettings) {}

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** Takes over a descriptor that leads to the upstream. */
  open(fd: number, isConnected: boolean): UpstreamConnection {
    const connection = new UpstreamConnection(fd, isConnected, this);
    this.#open.add(connection);
    sendAtOnce(fd);
    this.settings.loop.add(fd, PEER_EVENTS, connection);
    return connection;
  }

  /** A pooled connection; with `looksTwice` one on which nothing happened until right now. */
  take(nowMs: number, looksTwice: boolean): UpstreamConnection | null {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return null;
      this.settings.idle -= 1;
      if (connection.idleUntilMs > nowMs && (!looksTwice || connection.peer.isSilent)) {
        connection.isReused = true;
        return connection;
      }
      this.#close(connection);
    }
  }

  /** Keeps a connection whose request is answered; `timeoutMs` is what the server says about it. */
  give(connection: UpstreamConnection, nowMs: number, timeoutMs: number | null): void {
    const { settings } = this;
    const { pooledMs, maxIdle } = settings;
    const keptMs = timeoutMs === null ? pooledMs : Math.min(pooledMs, timeoutMs - HINT_MARGIN_MS);
    const { peer } = connection;
    const isFull = this.#idle.length >= MAX_IDLE || settings.idle >= maxIdle;
    if (this.isClosed || isFull || keptMs <= 0 || (peer.isReadable && !peer.isSilent)) {
      this.#close(connection);
      return;
    }
    peer.isReadable = false;
    connection.request = null;
    connection.idleUntilMs = nowMs + keptMs;
    this.#idle.push(connection);
    settings.idle += 1;
  }

  /** The descriptor is somebody else's from here on. */
  letGo(connection: UpstreamConnection): void {
    connection.request = null;
    this.#open.delete(connection);
  }

  /** Closes a connection, pooled or not. */
  close(connection: UpstreamConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) {
      this.#idle.splice(at, 1);
      this.settings.idle -= 1;
    }
    this.#close(connection);
  }

  #close(connection: UpstreamConnection): void {
    if (!this.#open.delete(connection)) return;
    connection.request = null;
    this.settings.loop.forget(connection.peer.fd);
    connection.peer.close();
  }

  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) {
      this.settings.idle -= 1;
      this.#close(connection);
    }
  }

  closeExpired(nowMs: number): void {
    for (const connection of this.#idle.filter(({ idleUntilMs }) => idleUntilMs <= nowMs)) {
      this.close(connection);
    }
  }

  /** The instance is no more: requests that are under way fail. */
  closeAll(): void {
    this.isClosed = true;
    this.closeIdle();
    for (const connection of [...this.#open]) {
      connection.request?.onInstanceGone();
      this.#close(connection);
    }
  }
}
