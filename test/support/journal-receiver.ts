import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { closeFd } from '../../src/sys/descriptors.js';
import { receivePacket } from '../../src/sys/fd-passing.js';
import { bindDatagram } from '../../src/sys/sockets.js';
import { makeTemporaryDirectory } from './temporary-directory.js';

/** An entry as journald reads it: values by name. */
export type ReceivedEntry = Readonly<Record<string, string>>;

/** A socket like journald's, which takes what `Journal` writes. */
export class JournalReceiver implements Disposable {
  readonly #directory = makeTemporaryDirectory();
  readonly path = join(this.#directory.path, 'journal');
  #fd = bindDatagram(this.path);

  /** The next entry; null: none is there yet. */
  receive(): ReceivedEntry | null {
    const packet = receivePacket(this.#fd);
    if (packet === null) return null;
    if (packet !== 'end') return decodeEntry(packet.bytes);
    throw new Error('an entry without bytes');
  }

  /** All entries that are there. */
  receiveAll(): ReceivedEntry[] {
    const entries: ReceivedEntry[] = [];
    for (let entry = this.receive(); entry; entry = this.receive()) entries.push(entry);
    return entries;
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
    this.#directory[Symbol.dispose]();
  }
}

/** The journal's native protocol, read as its documentation says. */
export function decodeEntry(bytes: Buffer): ReceivedEntry {
  const fields: Record<string, string> = {};
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf('\n', at);
    const line = bytes.toString('utf8', at, end);
    const equals = line.indexOf('=');
    if (equals >= 0) {
      fields[line.slice(0, equals)] = line.slice(equals + 1);
      at = end + 1;
      continue;
    }
    const length = Number(bytes.readBigUInt64LE(end + 1));
    fields[line] = bytes.toString('utf8', end + 9, end + 9 + length);
    if (bytes[end + 9 + length] !== 0x0a) throw new Error(`${line} does not end where it says`);
    at = end + 10 + length;
  }
  return fields;
}

/** An entry that came as a memory file. */
export function readEntryFile(fd: number): ReceivedEntry {
  return decodeEntry(readFileSync(`/proc/self/fd/${fd}`));
}
