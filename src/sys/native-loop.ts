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

/**
 * A thread's own event loop on epoll(7): it sleeps in the kernel, handles a batch, and sleeps again,
 * without a turn of Node's loop in between. Promises, timers and messages need such a turn: whoever
 * starts one calls `needTurn`.
 */
export class NativeLoop {
  readonly #epoll = new Epoll();
  readonly #handlers: Array<EventHandler | undefined> = [];
  readonly #tags: number[] = [];
  #lastTag = 0;
  #needsTurn = false;
  #ready: Array<() => void> = [];
  /** When the events at hand came, in milliseconds as `performance.now` counts: one look at the clock for all. */
  nowMs = performance.now();
  /** Whether timers matter now. */
  isTiming: () => boolean = () => true;

  /** Watches a descriptor, or goes on watching it for another handler. Throws a `SystemError`. */
  add(fd: number, events: number, handler: EventHandler): void {
    this.#lastTag = (this.#lastTag + 1) | 0;
    if (this.#handlers[fd]) this.#epoll.modify(fd, events, this.#lastTag);
    else this.#epoll.add(fd, events, this.#lastTag);
    this.#handlers[fd] = handler;
    this.#tags[fd] = this.#lastTag;
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

  /** Runs `act` after the events of this batch: for work that was cut off to let others have their turn. */
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
      if (this.#ready.length > 0) this.#runReady();
      if (count <= 0) return;
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
    const ready = this.#ready;
    this.#ready = [];
    for (const act of ready) act();
  }
}
