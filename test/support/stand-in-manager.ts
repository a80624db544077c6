import { join } from 'node:path';
import { closeFd } from '../../src/sys/descriptors.js';
import { receivePacket } from '../../src/sys/fd-passing.js';
import { type Watch, watchFd } from '../../src/sys/poller.js';
import { bindDatagram } from '../../src/sys/sockets.js';
import type { ProcessOptions } from './run-process.js';

/** As systemd does it: the pid is set where it is known, after the fork (sd_listen_fds(3)). */
export const WITH_LISTEN_PID = ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh'];

/** Stands in for systemd where a test only needs its notify socket and its descriptor store. */
export class StandInManager implements Disposable {
  readonly said: string[] = [];
  readonly #path: string;
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #stored: { readonly name: string; readonly fd: number }[] = [];

  constructor(directory: string) {
    this.#path = join(directory, 'manager.sock');
    this.#fd = bindDatagram(this.#path);
    this.#watch = watchFd(this.#fd, { read: true }, () => this.#receive(), { keepAlive: false });
  }

  /** Names of what is stored, sorted. */
  get names(): string[] {
    return this.#stored.map(({ name }) => name).sort();
  }

  /** Puts a descriptor in the store, which owns it from here on. */
  store(name: string, fd: number): void {
    this.#stored.push({ name, fd });
  }

  /** With which the next process is started: it gets all that is stored. */
  options(): ProcessOptions & { prefix: readonly string[] } {
    return {
      prefix: WITH_LISTEN_PID,
      inherited: this.#stored.map(({ fd }) => fd),
      environment: {
        NOTIFY_SOCKET: this.#path,
        LISTEN_FDS: String(this.#stored.length),
        LISTEN_FDNAMES: this.#stored.map(({ name }) => name).join(':'),
      },
    };
  }

  #receive(): void {
    for (;;) {
      const packet = receivePacket(this.#fd);
      if (packet === null || packet === 'end') return;
      const lines = packet.bytes.toString().split('\n');
      const name = lines.find((line) => line.startsWith('FDNAME='))?.slice('FDNAME='.length) ?? '';
      if (lines.includes('FDSTORE=1')) for (const fd of packet.fds) this.store(name, fd);
      else for (const fd of packet.fds) closeFd(fd);
      if (lines.includes('FDSTOREREMOVE=1')) this.#remove(name);
      this.said.push(packet.bytes.toString());
    }
  }

  #remove(name: string): void {
    for (let at = this.#stored.length - 1; at >= 0; at -= 1) {
      if (this.#stored[at]?.name !== name) continue;
      for (const { fd } of this.#stored.splice(at, 1)) closeFd(fd);
    }
  }

  [Symbol.dispose](): void {
    this.#watch.close();
    closeFd(this.#fd);
    for (const { fd } of this.#stored.splice(0)) closeFd(fd);
  }
}
