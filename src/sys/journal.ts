import { encodeJournalEntry, type JournalFields } from '../base/journal-entry.js';
import { closeFd, createSealedMemfd } from './descriptors.js';
import { sendPacket } from './fd-passing.js';
import { lastErrno, MSG_DONTWAIT, MSG_NOSIGNAL, NativeMemory, poll, sendto } from './libc.js';
import { connectDatagram, createDatagramSocket, reconnectDatagram } from './sockets.js';

/** Where journald takes entries in its native protocol (systemd-journald.service(8)). */
const JOURNAL_SOCKET = '/run/systemd/journal/socket';
/** How long a line waits for a journal that is behind, in milliseconds; the next ones don't, until it goes on. */
const WAIT_MS = 100;

const POLLOUT = 4;
const EAGAIN = 11;
const EMSGSIZE = 90;
const ENOBUFS = 105;
/** journald's socket was made anew, or wasn't there. */
const REPLACED = new Set([104, 107, 111]);

const pollArea = new NativeMemory(8);

/**
 * Writes to systemd's journal. Nothing waits for it for long: what it doesn't take is counted, and
 * the number is in the journal when it goes on.
 */
export class Journal {
  #lost = 0;

  /** `fd`: connected; `path`: where to find a socket that was made anew, null where this process can't. */
  constructor(
    private readonly fd: number,
    private readonly path: string | null = null,
  ) {}

  /** Throws a `SystemError` where no journal listens. */
  static open(path = JOURNAL_SOCKET): Journal {
    return new Journal(connectDatagram(path), path);
  }

  /**
   * A socket for another process, the caller's: one of its own, for who has a socket can connect it
   * elsewhere for all who have it. The journal tells processes apart by their credentials. Where no
   * journal listens now, what that process logs is lost.
   */
  openSocket(): number {
    const fd = createDatagramSocket();
    if (this.path !== null) reconnectDatagram(fd, this.path);
    return fd;
  }

  /** `waits` false: not even for a moment. */
  write(fields: JournalFields, waits = true): void {
    if (!this.#send(encodeJournalEntry(fields), waits && this.#lost === 0)) {
      this.#lost += 1;
      return;
    }
    if (this.#lost === 0) return;
    const lost = this.#lost;
    const isTold = this.#send(encodeJournalEntry(lossEntry(lost)), false);
    if (isTold) this.#lost = 0;
  }

  close(): void {
    closeFd(this.fd);
  }

  #send(entry: Buffer, waits: boolean): boolean {
    const errno = this.#transmit(entry);
    if (errno === 0) return true;
    if (errno === EMSGSIZE || errno === ENOBUFS) return this.#sendLarge(entry);
    if (REPLACED.has(errno)) return this.#reconnect() && this.#transmit(entry) === 0;
    return errno === EAGAIN && waits && this.#hasRoomSoon() && this.#transmit(entry) === 0;
  }

  /** 0, or errno. */
  #transmit(entry: Buffer): number {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const sent = Number(sendto(this.fd, entry, entry.length, flags, null, 0));
    return sent < 0 ? lastErrno() : 0;
  }

  /** What no datagram takes is a sealed memory file, of which the descriptor is sent. */
  #sendLarge(entry: Buffer): boolean {
    let fd: number | null = null;
    try {
      fd = createSealedMemfd('rouse-journal', entry);
      return sendPacket(this.fd, Buffer.alloc(0), [fd]);
    } catch {
      return false;
    } finally {
      if (fd !== null) closeFd(fd);
    }
  }

  #reconnect(): boolean {
    return this.path !== null && reconnectDatagram(this.fd, this.path) === 0;
  }

  #hasRoomSoon(): boolean {
    pollArea.bytes.writeInt32LE(this.fd, 0);
    pollArea.bytes.writeInt32LE(POLLOUT, 4);
    return poll(pollArea.address, 1, WAIT_MS) > 0;
  }
}

function lossEntry(lost: number): JournalFields {
  const what = lost === 1 ? '1 line is' : `${lost} lines are`;
  return {
    MESSAGE: `${what} missing here: the journal was too slow`,
    PRIORITY: '4',
    SYSLOG_IDENTIFIER: 'rouse',
    EVENT: 'lost',
    LOST: String(lost),
  };
}
