import { messageOf, RouseError } from '../base/errors.js';
import { closeFd, createPipe, duplicateFd } from '../sys/descriptors.js';
import { PACKET_LIMIT_FDS, sendPacket } from '../sys/fd-passing.js';
import { SystemError } from '../sys/libc.js';
import { type Watch, watchFd } from '../sys/poller.js';
import { connectDatagram } from '../sys/sockets.js';

export interface ServiceManagerSettings {
  /** `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are read from it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told once for every run of failures: what was to be said is lost. */
  readonly onTrouble: (message: string) => void;
}

interface Queued {
  readonly text: string;
  /** Duplicates, which the queue owns. */
  readonly fds: readonly number[];
}

/** What may wait while the manager doesn't read; it takes a datagram a wakeup. */
const QUEUE_LIMIT = 20_000;
const BARRIER_TIMEOUT_MS = 5000;
/** The manager was started anew, and its socket with it: connect again. */
const REPLACED = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTCONN', 'EPIPE']);

/**
 * What rouse tells the service manager that started it: the protocol of sd_notify(3) on the datagram
 * socket that NOTIFY_SOCKET names. Without one every call does nothing. No call blocks: what the
 * manager doesn't take at once waits in order.
 */
export class ServiceManager {
  readonly #path: string | null;
  readonly #queue: Queued[] = [];
  #fd: number | null = null;
  #watch: Watch | null = null;
  #isFailing = false;
  /** How long the manager waits for a `watchdog()` before it ends this process, in milliseconds; null: it doesn't (sd_watchdog_enabled(3)). */
  readonly watchdogMs: number | null;

  constructor(private readonly settings: ServiceManagerSettings) {
    const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = settings.environment;
    this.#path = /^[/@]./.test(NOTIFY_SOCKET ?? '') ? (NOTIFY_SOCKET as string) : null;
    const isMine = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid;
    const usec = this.isPresent && isMine ? Number(WATCHDOG_USEC) : Number.NaN;
    this.watchdogMs = usec > 0 ? usec / 1000 : null;
  }

  /** Whether anybody listens. */
  get isPresent(): boolean {
    return this.#path !== null;
  }

  /** The start, or a reload, is complete. */
  ready(): void {
    this.#send('READY=1');
  }

  /** A reload begins; `ready` ends it. The time tells the manager that this reload is the one it asked for (`Type=notify-reload`). */
  reloading(): void {
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): void {
    this.#send('STOPPING=1');
  }

  /** The line that `systemctl status` shows. */
  status(text: string): void {
    this.#send(`STATUS=${text.replaceAll('\n', ' ')}`);
  }

  /** All is well; to be said at least every `watchdogMs`. */
  watchdog(): void {
    this.#send('WATCHDOG=1');
  }

  /** From now on the manager waits so long for the start or the stop to end, in milliseconds; beyond that this is to be said again. */
  extendTimeout(ms: number): void {
    this.#send(`EXTEND_TIMEOUT_USEC=${Math.ceil(ms * 1000)}`);
  }

  /** Another process is the main one from now on. */
  mainPid(pid: number): void {
    this.#send(`MAINPID=${pid}`);
  }

  /**
   * The manager keeps duplicates of these, and passes them to the next process that it starts for
   * this unit (`FileDescriptorStoreMax=`), as LISTEN_FDNAMES by this name. Without `watched` they
   * stay there even after a hang-up (`FDPOLL=0`). The descriptors stay the caller's. Throws on a name
   * that can't be one.
   */
  storeDescriptors(
    name: string,
    fds: readonly number[],
    options: { watched?: boolean } = {},
  ): void {
    checkName(name);
    const poll = options.watched ? '' : '\nFDPOLL=0';
    for (let from = 0; from < fds.length; from += PACKET_LIMIT_FDS) {
      const part = fds.slice(from, from + PACKET_LIMIT_FDS);
      this.#send(`FDSTORE=1\nFDNAME=${name}${poll}`, part);
    }
  }

  /** The manager drops all that it keeps by this name. */
  removeDescriptors(name: string): void {
    checkName(name);
    this.#send(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }

  /** Resolves when the manager has taken in all that was said before: with false where it hasn't in time (sd_notify_barrier(3)). */
  async barrier(timeoutMs = BARRIER_TIMEOUT_MS): Promise<boolean> {
    if (!this.isPresent) return true;
    const { readFd, writeFd } = createPipe();
    const isSaid = this.#send('BARRIER=1', [writeFd]);
    closeFd(writeFd);
    try {
      return isSaid && (await endsWithin(readFd, timeoutMs));
    } finally {
      closeFd(readFd);
    }
  }

  /** What waits yet is not said any more. */
  close(): void {
    for (const { fds } of this.#queue.splice(0)) for (const fd of fds) closeFd(fd);
    this.#disconnect();
  }

  /** False: it can't be said. */
  #send(text: string, fds: readonly number[] = []): boolean {
    if (!this.isPresent) return false;
    if (this.#queue.length === 0 && this.#trySend(text, fds) !== 'full') return !this.#isFailing;
    if (this.#queue.length >= QUEUE_LIMIT) return this.#fail(text, 'it does not read');
    try {
      this.#queue.push({ text, fds: fds.map((fd) => duplicateFd(fd)) });
      this.#awaitRoom();
      return true;
    } catch (error) {
      return this.#fail(text, messageOf(error));
    }
  }

  #awaitRoom(): void {
    const onRoom = () => this.#flush();
    this.#watch ??= watchFd(this.#connected(), { write: true }, onRoom, { keepAlive: false });
  }

  #flush(): void {
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      if (this.#trySend(next.text, next.fds) === 'full') return this.#awaitRoom();
      this.#queue.shift();
      for (const fd of next.fds) closeFd(fd);
    }
    this.#watch?.close();
    this.#watch = null;
  }

  #trySend(text: string, fds: readonly number[]): 'done' | 'full' {
    try {
      if (!this.#transmit(Buffer.from(text), fds)) return 'full';
      this.#isFailing = false;
    } catch (error) {
      this.#fail(text, messageOf(error));
    }
    return 'done';
  }

  #transmit(packet: Buffer, fds: readonly number[]): boolean {
    try {
      return sendPacket(this.#connected(), packet, fds);
    } catch (error) {
      if (!(error instanceof SystemError) || !REPLACED.has(error.errnoName)) throw error;
      this.#disconnect();
      return sendPacket(this.#connected(), packet, fds);
    }
  }

  #connected(): number {
    this.#fd ??= connectDatagram(this.#path as string);
    return this.#fd;
  }

  #disconnect(): void {
    this.#watch?.close();
    this.#watch = null;
    if (this.#fd !== null) closeFd(this.#fd);
    this.#fd = null;
  }

  #fail(text: string, why: string): false {
    if (!this.#isFailing) {
      const what = text.split('\n')[0];
      this.settings.onTrouble(`cannot tell the service manager ${what} on ${this.#path}: ${why}`);
    }
    this.#isFailing = true;
    return false;
  }
}

/** As systemd checks FDNAME=: printable ASCII without a colon, at most 255 characters (sd_pid_notify_with_fds(3)). */
function checkName(name: string): void {
  if (/^[ -9;-~]{1,255}$/.test(name)) return;
  throw new RouseError(
    'system',
    `descriptors cannot be stored as ${JSON.stringify(name)}: 1 to 255 printable ASCII characters without a colon`,
  );
}

/** Whether every other holder of the pipe closes it in time. */
function endsWithin(readFd: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isEnded: boolean) => {
      clearTimeout(timer);
      watch.close();
      resolve(isEnded);
    };
    const timer = setTimeout(() => settle(false), timeoutMs);
    const watch = watchFd(readFd, { read: true }, () => settle(true));
  });
}
