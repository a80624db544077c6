import { closeFd, createPipe, setNonBlocking } from '../../sys/descriptors.js';
import { growPipe } from '../../sys/stream-io.js';

/**
 * What a pipe should hold. The kernel allows an unprivileged user 64 MiB of such in all
 * (pipe-user-pages-soft, pipe(7)); 200 transfers at once stay below that.
 */
const WANTED_BYTES = 256 * 1024;
const KEPT = 64;

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

  /** Throws a `SystemError` where no descriptors are left. */
  take(): Pipe {
    return this.#free.pop() ?? createTransferPipe();
  }

  /** One that isn't empty is closed: its bytes are another connection's. */
  give(pipe: Pipe): void {
    if (pipe.filled === 0 && this.#free.length < KEPT) this.#free.push(pipe);
    else closePipe(pipe);
  }

  close(): void {
    for (const pipe of this.#free.splice(0)) closePipe(pipe);
  }
}

function createTransferPipe(): Pipe {
  const { readFd, writeFd } = createPipe();
  setNonBlocking(readFd, true);
  setNonBlocking(writeFd, true);
  return { readFd, writeFd, sizeBytes: growPipe(writeFd, WANTED_BYTES), filled: 0 };
}

function closePipe({ readFd, writeFd }: Pipe): void {
  closeFd(readFd);
  closeFd(writeFd);
}
