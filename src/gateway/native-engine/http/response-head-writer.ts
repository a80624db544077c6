import { SPACE } from '../../byte-classes.js';
import {
  CONNECTION,
  CONTENT_LENGTH,
  FOR_PROXY,
  KEEP_ALIVE,
  TE,
  TRAILER,
  TRANSFER_ENCODING,
  UPGRADE,
} from '../../field-names.js';
import { CHUNKED_LINE, copyFields, dropping, endLine } from './copy-fields.js';
import { bytes, move, OUTPUT_AT, put } from './memory.js';
import type { ResponseScanner } from './response-scanner.js';

const VERSION = 'HTTP/1.1';
const ONE = 0x31;
const WITHOUT_REASON = 'HTTP/1.1 200'.length;
const STATUS_NO_CONTENT = 204;
const STATUS_UPGRADE_REQUIRED = 426;

const NEVER_SENT_ON = [CONNECTION, KEEP_ALIVE, FOR_PROXY, TE, TRANSFER_ENCODING];
const DROPPED = dropping(...NEVER_SENT_ON, UPGRADE, TRAILER);
const DROPPED_WITHOUT_CONTENT = dropping(...NEVER_SENT_ON, UPGRADE, TRAILER, CONTENT_LENGTH);
const DROPPED_OF_CHUNKED = dropping(...NEVER_SENT_ON, UPGRADE);
const DROPPED_OF_UPGRADE = dropping(...NEVER_SENT_ON, TRAILER);
const DROPPED_OF_CHUNKED_UPGRADE = dropping(...NEVER_SENT_ON);

const CONNECTION_LINES: Readonly<Record<string, Buffer>> = {
  close: Buffer.from('Connection: close\r\n'),
  'keep-alive': Buffer.from('Connection: keep-alive\r\n'),
  Upgrade: Buffer.from('Connection: Upgrade\r\n'),
  'Upgrade, close': Buffer.from('Connection: Upgrade, close\r\n'),
  'Upgrade, keep-alive': Buffer.from('Connection: Upgrade, keep-alive\r\n'),
};

/**
 * Writes a response's head for the client to `OUTPUT_AT`, and returns where it ends. The head lies in
 * the memory from `base` to `end`, and `interpretResponse` has looked at it; `connection` is what
 * `Connection` says to the client.
 */
export function writeResponseHead(
  base: number,
  end: number,
  scanner: ResponseScanner,
  isChunked: boolean,
  connection: 'close' | 'keep-alive' | null,
): number {
  const { fields, status } = scanner;
  bytes[base + VERSION.length - 1] = ONE;
  const keepsUpgrade = status === STATUS_UPGRADE_REQUIRED && fields.has(UPGRADE);
  const dropped = droppedOf(status, isChunked, keepsUpgrade);
  let at = OUTPUT_AT;
  let from = base;
  if (scanner.lineEnd === WITHOUT_REASON) {
    at = move(base, base + WITHOUT_REASON, at);
    bytes[at] = SPACE;
    at = endLine(at + 1);
    from = -1;
  }
  at = copyFields(base, end, fields, dropped, from, at);
  if (isChunked) at = put(CHUNKED_LINE, at);
  if (keepsUpgrade)
    at = put(CONNECTION_LINES[connection ? `Upgrade, ${connection}` : 'Upgrade'] as Buffer, at);
  else if (connection !== null) at = put(CONNECTION_LINES[connection] as Buffer, at);
  return endLine(at);
}

function droppedOf(status: number, isChunked: boolean, keepsUpgrade: boolean): Uint8Array {
  if (status < 200 || status === STATUS_NO_CONTENT) return DROPPED_WITHOUT_CONTENT;
  if (keepsUpgrade) return isChunked ? DROPPED_OF_CHUNKED_UPGRADE : DROPPED_OF_UPGRADE;
  return isChunked ? DROPPED_OF_CHUNKED : DROPPED;
}

/** The head as it came, but in our version of HTTP: for a 101. */
export function copyResponseHead(base: number, end: number): Buffer {
  return Buffer.concat([Buffer.from(VERSION), bytes.subarray(base + VERSION.length, end)]);
}
