import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, Epoll } from './epoll.js';
import { exitNow } from './libc.js';
import type { PollEvents, WatchFd } from './poller.js';

export interface EventHandler {
  onEvents(events: number): void;
}

function bitsOf({ read, write }: PollEvents): number {
  return (read ? EPOLLIN : 0) | (write ? EPOLLOUT : 0);
}

/** While something counts time (a lease lingers, somebody is held) timers are looked at that often, in milliseconds. */
const BUSY_LOOK_MS = 5;
const IDLE_LOOK_MS = 200;
/** However busy it is, timers are looked at after that many batches. */
const MAX_BATCHES = 64;
/** Of the work that was cut off, so much is done between two looks for events. */
const ACTS_AT_ONCE = 4;

/**
 * A thread's own event loop on epoll(7): it sleeps in the kernel, handles a batch, and sleeps again,
 * without a turn of Node's loop in between. Promises, timers and messages need such a turn: whoever
 * starts one calls `needTurn`.
 */
export class NativeLoop {
  readonly #epoll = new Epoll();
  readonly #handlers: Array<EventHandler | undefined> = [];
  readonly #tags: number[] = [];
  /** What descriptors are watched for; 0: they aren't. */
  readonly #watched: number[] = [];
  #lastTag = 0;
  #needsTurn = false;
  readonly #ready: Array<() => void> = [];
  /** When the events at hand came, in milliseconds as `performance.now` counts: one look at the clock for all. */
  nowMs = performance.now();
  /** Whether timers matter now. */
  isTiming: () => boolean = () => true;

  /**
   * Watches a descriptor, or goes on watching it for another handler. Where it is watched for the same
   * events already, the kernel isn't asked: edges that were told aren't told again, and an event at
   * hand may be of what the descriptor was before. Throws a `SystemError`.
   */
  add(fd: number, events: number, handler: EventHandler): void {
    const before = this.#watched[fd];
    if (before !== events) {
      this.#lastTag = (this.#lastTag + 1) | 0;
      if (before) this.#epoll.modify(fd, events, this.#lastTag);
      else this.#epoll.add(fd, events, this.#lastTag);
      this.#tags[fd] = this.#lastTag;
      this.#watched[fd] = events;
    }
    this.#handlers[fd] = handler;
  }

  isWatching(fd: number): boolean {
    return (this.#watched[fd] ?? 0) !== 0;
  }

  /** Nobody wants to hear of a descriptor for a while: it stays watched, for whoever adds it next. */
  park(fd: number): void {
    this.#handlers[fd] = undefined;
  }

  /** As `watchFd` of the main thread; what happens there may have started promises, so Node's loop gets a turn. */
  readonly watch: WatchFd = (fd, events, onReady) => {
    const handler = {
      onEvents: (bits: number) => {
        this.#needsTurn = true;
        const isError = (bits & (EPOLLERR | EPOLLHUP)) !== 0;
        onReady({
          read: isError || (bits & EPOLLIN) !== 0,
          write: isError || (bits & EPOLLOUT) !== 0,
        });
      },
    };
    this.add(fd, bitsOf(events), handler);
    return {
      want: (next) => this.add(fd, bitsOf(next), handler),
      close: () => this.remove(fd),
    };
  };

  /** Forgets a descriptor that is about to be closed. */
  forget(fd: number): void {
    this.#handlers[fd] = undefined;
    this.#tags[fd] = 0;
    this.#watched[fd] = 0;
  }

  /** Forgets a descriptor whose open file lives on elsewhere. */
  remove(fd: number): void {
    this.#epoll.remove(fd);
    this.forget(fd);
  }

  /** Something that only Node's loop does (a promise, a timer) has been started. */
  needTurn(): void {
    this.#needsTurn = true;
  }

  /**
   * Runs `act` when others had their turn: large transfers do their work in such acts, a bounded piece
   * in each, and what has just arrived for anybody else goes before all but a few of them.
   */
  soon(act: () => void): void {
    this.#ready.push(act);
  }

  /** Runs for ever. A bug in a handler ends the process: half a gateway would be worse than none. */
  run(onBug: (error: unknown) => void): void {
    const turn = () => {
      try {
        this.turn(this.isTiming() ? BUSY_LOOK_MS : IDLE_LOOK_MS);
      } catch (error) {
        onBug(error);
        exitNow(70);
      }
      setImmediate(turn);
    };
    setImmediate(turn);
  }

  /** Handles events until there were none for `waitMs`, or somebody needs a turn of Node's loop. */
  turn(waitMs: number): void {
    this.#needsTurn = false;
    let batches = 0;
    do {
      const count = this.#epoll.wait(this.#ready.length > 0 ? 0 : waitMs);
      this.nowMs = performance.now();
      for (let index = 0; index < count; index += 1) this.#dispatch(index);
      this.#runReady();
      if (count <= 0 && this.#ready.length === 0) return;
      batches += 1;
    } while (!this.#needsTurn && batches < MAX_BATCHES);
  }

  #dispatch(index: number): void {
    const fd = this.#epoll.fdAt(index);
    if (this.#tags[fd] === this.#epoll.tagAt(index))
      this.#handlers[fd]?.onEvents(this.#epoll.eventsAt(index));
  }

  close(): void {
    this.#epoll.close();
  }

  #runReady(): void {
    for (let left = ACTS_AT_ONCE; left > 0 && this.#ready.length > 0; left -= 1)
      this.#ready.shift()?.();
  }
}
