import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { closeFd, createPipe } from '../sys/descriptors.js';

/** What a service may print in a second before it has to wait: enough for any log, too little to keep the supervisor busy. */
const LIMIT_BYTES_A_SECOND = 4 * 1024 * 1024;

/** Both ends, for an upgraded supervisor. */
export interface PipeState {
  readonly readFd: number;
  readonly writeFd: number;
}

/** The pipe that an instance's processes print into, read at a bounded pace. */
export class OutputPipe {
  readonly writeFd: number;
  /** /dev/null, for standard input. */
  readonly nullFd: number;
  readonly #readFd: number;
  readonly #reader: Socket;
  #windowBytes = 0;
  #pace: NodeJS.Timeout | null = null;

  constructor(
    private readonly onChunk: (chunk: Buffer) => void,
    { readFd, writeFd }: PipeState = createPipe(),
  ) {
    this.#readFd = readFd;
    this.writeFd = writeFd;
    this.nullFd = openSync('/dev/null', 'r+');
    this.#reader = new Socket({ fd: readFd, readable: true, writable: false });
    this.#reader.on('error', () => {});
    this.#reader.on('data', (chunk: Buffer) => {
      onChunk(chunk);
      this.#count(chunk.length);
    });
  }

  /** After it nothing that was read is kept here. */
  state(): PipeState {
    const rest: Buffer | null = this.#reader.read();
    if (rest) this.onChunk(rest);
    return { readFd: this.#readFd, writeFd: this.writeFd };
  }

  #count(bytes: number): void {
    this.#windowBytes += bytes;
    this.#pace ??= setTimeout(() => {
      this.#pace = null;
      this.#windowBytes = 0;
      this.#reader.resume();
    }, 1000);
    if (this.#windowBytes > LIMIT_BYTES_A_SECOND) this.#reader.pause();
  }

  /** Closes both ends: what was printed before, and wasn't read yet, is still delivered. */
  close(): void {
    closeFd(this.writeFd);
    closeSync(this.nullFd);
    const end = () => {
      if (this.#pace) clearTimeout(this.#pace);
      this.#reader.destroy();
    };
    this.#reader.resume();
    this.#reader.once('end', end);
    setTimeout(end, 1000).unref();
  }
}
