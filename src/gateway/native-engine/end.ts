import { EPOLLET, EPOLLIN, EPOLLRDHUP } from '../../sys/epoll.js';
import type { EventHandler } from '../../sys/native-loop.js';
import type { Pipe } from './pipe-pool.js';

/** What every end is watched for. That there is room again is told only to who found none: most never do. */
export const END_EVENTS = EPOLLIN | EPOLLRDHUP | EPOLLET;

/** What all connections of a thread may keep of what didn't fit into a socket, before less is read at a time. */
const KEPT_LIMIT_BYTES = 32 * 1024 * 1024;
const READ_BYTES = 64 * 1024;
const READ_LITTLE_BYTES = 4 * 1024;

let keptBytes = 0;

/** How much is read at once, lest clients that never read fill the memory: what can't be sent on is kept. */
export function readLimitBytes(): number {
  return keptBytes < KEPT_LIMIT_BYTES ? READ_BYTES : READ_LITTLE_BYTES;
}

/** Hears of an end's events. */
export interface EndOwner {
  onEndEvents(end: End, events: number): void;
}

/** One end of a relayed connection. What epoll says of it is a hint: reads and writes find out. */
export class End implements EventHandler {
  /** null: nothing is there yet, or any more. */
  other: End | null = null;
  /** Those it is watched for. */
  events = END_EVENTS;
  isWatched = false;
  isReadable = false;
  isWritable = true;
  /** Nothing proves yet that it isn't refused. */
  isConnecting = false;
  /** The peer has closed or shut down: read on until end of file, even after a short read. */
  hasHungUp = false;
  /** Nothing more will be read from it. */
  isAtEnd = false;
  /** It ended by an error. */
  isAborted = false;
  /** It takes no more bytes. */
  isBroken = false;
  /** It was told that no more comes. */
  isShut = false;
  /** Much comes at a time: it is spliced, in turns. */
  isBulk = false;
  hasTurn = false;
  /** Read from it. */
  bytes = 0;
  /** Read from it, not yet sent to the other. */
  #pending: Buffer | null = null;
  /** As `pending`, in the kernel; taken only while bytes flow. */
  pipe: Pipe | null = null;

  constructor(
    readonly fd: number,
    private readonly owner: EndOwner,
  ) {}

  onEvents(events: number): void {
    this.owner.onEndEvents(this, events);
  }

  get pending(): Buffer | null {
    return this.#pending;
  }

  /** Keeps bytes that are the caller's no more. */
  keep(bytes: Buffer | null): void {
    keptBytes += (bytes?.length ?? 0) - (this.#pending?.length ?? 0);
    this.#pending = bytes;
  }

  /** Whether something was read that isn't sent. */
  get isHolding(): boolean {
    return this.#pending !== null || (this.pipe !== null && this.pipe.filled > 0);
  }

  /** It takes nothing and gives nothing any more. */
  abort(): void {
    this.isAtEnd = true;
    this.isAborted = true;
    this.isBroken = true;
  }
}
