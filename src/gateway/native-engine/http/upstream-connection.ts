import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../../sys/epoll.js';
import type { EventHandler } from '../../../sys/native-loop.js';
import { Peer } from './peer.js';
import type { RelayedRequest } from './relayed-request.js';
import type { UpstreamPool } from './upstream-pool.js';

/** A connection to a service, carrying one request at a time, or pooled. */
export class UpstreamConnection implements EventHandler {
  readonly peer: Peer;
  /** The one it carries; null: it is pooled. */
  request: RelayedRequest | null = null;
  isConnecting: boolean;
  /** It carried a request before this one. */
  isReused = false;
  /** Pooled until then. */
  idleUntilMs = 0;

  constructor(
    fd: number,
    isConnected: boolean,
    readonly pool: UpstreamPool,
  ) {
    this.peer = new Peer(fd, isConnected);
    this.isConnecting = !isConnected;
  }

  onEvents(events: number): void {
    const { request, peer } = this;
    if (request === null) {
      // What comes without a request would be taken for the answer to the next one.
      if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) this.pool.close(this);
      return;
    }
    if (this.isConnecting) {
      if (events & (EPOLLERR | EPOLLHUP)) return request.onConnectionRefused();
      if (!(events & EPOLLOUT)) return;
      this.isConnecting = false;
    }
    peer.note(events);
    request.onUpstreamEvents();
  }
}
