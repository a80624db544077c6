import { closeFd, createPipe, setNonBlocking } from '../../sys/descriptors.js';
import { growPipe } from '../../sys/stream-io.js';

/**
 * What a pipe should hold. The kernel allows an unprivileged user 64 MiB of such in all
 * (pipe-user-pages-soft, pipe(7)), 256 of them; beyond that it gives tiny ones, through which bytes
 * move slower than they are copied.
 */
const WANTED_BYTES = 256 * 1024;
const USEFUL_BYTES = 64 * 1024;
const RETRY_MS = 1000;
const KEPT = 64;
/** In use at once; more transfers are copied: descriptors are for connections. */
const LIMIT = 512;

export interface Pipe {
  readonly readFd: number;
  readonly writeFd: number;
  readonly sizeBytes: number;
  /** In it now. */
  filled: number;
}

/** Pipes for splice(2): taken for a transfer, given back empty. */
export class PipePool {
  readonly #free: Pipe[] = [];
  #open = 0;
  /** Not tried again before that. */
  #retryMs = 0;

  /** null: no descriptors are left, too many are in use, or the kernel gives no more of a useful size. */
  take(): Pipe | null {
    const free = this.#free.pop();
    if (free) return free;
    if (this.#open >= LIMIT || performance.now() < this.#retryMs) return null;
    const pipe = createTransferPipe();
    if (pipe) this.#open += 1;
    else this.#retryMs = performance.now() + RETRY_MS;
    return pipe;
  }

  /** One that isn't empty is closed: its bytes are another connection's. */
  give(pipe: Pipe): void {
    if (pipe.filled === 0 && this.#free.length < KEPT) this.#free.push(pipe);
    else this.#close(pipe);
  }

  #close(pipe: Pipe): void {
    this.#open -= 1;
    closePipe(pipe);
  }

  close(): void {
    for (const pipe of this.#free.splice(0)) this.#close(pipe);
  }
}

function createTransferPipe(): Pipe | null {
  try {
    const { readFd, writeFd } = createPipe();
    setNonBlocking(readFd, true);
    setNonBlocking(writeFd, true);
    const pipe = { readFd, writeFd, sizeBytes: growPipe(writeFd, WANTED_BYTES), filled: 0 };
    if (pipe.sizeBytes >= USEFUL_BYTES) return pipe;
    closePipe(pipe);
  } catch {
    // No descriptors left: bytes are copied.
  }
  return null;
}

function closePipe({ readFd, writeFd }: Pipe): void {
  closeFd(readFd);
  closeFd(writeFd);
}
