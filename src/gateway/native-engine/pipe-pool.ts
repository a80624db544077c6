import { RouseError } from '../../base/errors.js';
import { closeFd, createPipe, setNonBlocking } from '../../sys/descriptors.js';
import { growPipe } from '../../sys/stream-io.js';

/**
 * What a pipe should hold. The kernel allows an unprivileged user 64 MiB of such in all
 * (pipe-user-pages-soft, pipe(7)); 200 transfers at once stay below that.
 */
const WANTED_BYTES = 256 * 1024;
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

  /** Throws where no descriptors are left, or too many are in use. */
  take(): Pipe {
    const free = this.#free.pop();
    if (free) return free;
    if (this.#open >= LIMIT) throw new RouseError('system', 'no pipe to spare');
    const pipe = createTransferPipe();
    this.#open += 1;
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
