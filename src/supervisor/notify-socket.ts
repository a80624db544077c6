import { chmodSync, rmSync } from 'node:fs';
import { closeFd } from '../sys/descriptors.js';
import { NativeMemory, recv } from '../sys/libc.js';
import { type Watch, watchFd } from '../sys/poller.js';
import { bindDatagram } from '../sys/sockets.js';

const DATAGRAM_LIMIT_BYTES = 4096;
/** Datagrams taken in one go: a service that floods its socket gets no more of the supervisor than that. */
const BATCH = 16;
/** What a service that floods the socket waits before it is read again, in milliseconds. */
const PAUSE_MS = 100;
const buffer = new NativeMemory(DATAGRAM_LIMIT_BYTES);

/** The folder is the service's: there may be anything in place of the socket. */
function removeWhatIsThere(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // The folder goes with the VPS.
  }
}

function bindAnew(path: string): number {
  removeWhatIsThere(path);
  const fd = bindDatagram(path);
  chmodSync(path, 0o666);
  return fd;
}

/** What a service says by sd_notify(3), variable by variable. */
export type Notification = Readonly<Record<string, string>>;

/** An instance's notify socket: one for each, so who speaks needs no proof. Hostile input, read in bounds. */
export class NotifySocket {
  readonly #watch: Watch;
  #pause: NodeJS.Timeout | null = null;

  /** `fd`: the socket on this path, which it owns. */
  constructor(
    private readonly path: string,
    private readonly onNotification: (notification: Notification) => void,
    readonly fd = bindAnew(path),
  ) {
    this.#watch = watchFd(fd, { read: true }, () => this.#receive());
  }

  close(): void {
    if (this.#pause) clearTimeout(this.#pause);
    this.#watch.close();
    closeFd(this.fd);
    removeWhatIsThere(this.path);
  }

  #receive(): void {
    for (let taken = 0; taken < BATCH; taken += 1) {
      const length = Number(recv(this.fd, buffer.address, DATAGRAM_LIMIT_BYTES, 0));
      if (length < 0) return;
      this.onNotification(parseNotification(buffer.bytes.toString('utf8', 0, length)));
    }
    this.#watch.want({});
    this.#pause = setTimeout(() => this.#watch.want({ read: true }), PAUSE_MS);
  }
}

/** `NAME=value` lines; others are skipped. */
function parseNotification(text: string): Notification {
  const pairs = text.split('\n').flatMap((line) => {
    const at = line.indexOf('=');
    return at > 0 ? [[line.slice(0, at), line.slice(at + 1)] as const] : [];
  });
  return Object.fromEntries(pairs);
}
