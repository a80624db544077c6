import { equalsName } from '../../byte-classes.js';
import { CONNECTION, CONTENT_LENGTH, KEEP_ALIVE, TRANSFER_ENCODING } from '../../field-names.js';
import { splitList } from '../../list-value.js';
import { DROPPED } from './copy-fields.js';
import type { ResponseScanner } from './response-scanner.js';

/** Where a response's body ends (RFC 9112 6.3). */
export type ResponseBody = 'none' | 'length' | 'chunked' | 'close';

export interface ResponseFacts {
  readonly status: number;
  readonly body: ResponseBody;
  /** Of `length`. */
  readonly bytes: number;
  /** The server takes another request on this connection. */
  readonly keepAlive: boolean;
  /** When the server closes an idle connection, as it says (`Keep-Alive: timeout`); null: it doesn't. */
  readonly timeoutMs: number | null;
}

/** What decides, of the head at hand. */
class Deciding {
  length = 0;
  lengthLines = 0;
  isChunked = false;
  codingLines = 0;
  closes = false;
  keepsAlive = false;
  timeoutMs: number | null = null;
  nominated: string[] | null = null;

  reset(): void {
    this.length = 0;
    this.lengthLines = 0;
    this.isChunked = false;
    this.codingLines = 0;
    this.closes = false;
    this.keepsAlive = false;
    this.timeoutMs = null;
    this.nominated = null;
  }
}

const deciding = new Deciding();
const NO_NUMBER = -1;

/**
 * What a scanned head means; a text: what is wrong with it. Fields that aren't to be sent on become
 * `DROPPED`. `isForHead`: the request was HEAD.
 */
export function interpretResponse(
  bytes: Buffer,
  base: number,
  scanner: ResponseScanner,
  isForHead: boolean,
): ResponseFacts | string {
  const { status, minorVersion } = scanner;
  readDeciding(bytes, base, scanner);
  const { lengthLines, codingLines, length, nominated } = deciding;
  if (codingLines > 0 && lengthLines > 0) return 'both Content-Length and Transfer-Encoding';
  if (lengthLines > 1) return 'several Content-Length headers';
  if (lengthLines > 0 && length === NO_NUMBER) return 'Content-Length that is no number';
  if (codingLines > 0 && minorVersion === 0) return 'Transfer-Encoding in HTTP/1.0';
  if (codingLines > 1 || (codingLines > 0 && !deciding.isChunked)) return 'unknown transfer coding';
  if (nominated) dropNominated(bytes, base, scanner, nominated);
  const isBodiless = isForHead || status < 200 || status === 204 || status === 304;
  const body = isBodiless ? 'none' : bodyOf(deciding);
  return {
    status,
    body,
    bytes: body === 'length' ? length : 0,
    keepAlive: !deciding.closes && body !== 'close' && (minorVersion === 1 || deciding.keepsAlive),
    timeoutMs: deciding.timeoutMs,
  };
}

function bodyOf({ codingLines, lengthLines, length }: Deciding): ResponseBody {
  if (codingLines > 0) return 'chunked';
  if (lengthLines === 0) return 'close';
  return length === 0 ? 'none' : 'length';
}

function readDeciding(bytes: Buffer, base: number, { fields }: ResponseScanner): void {
  const { offsets, offsetCount, kinds } = fields;
  deciding.reset();
  for (let index = 0; index < offsetCount; index += 4) {
    const kind = kinds[index >> 2];
    if (kind === 0) continue;
    const start = base + (offsets[index + 2] as number);
    const end = base + (offsets[index + 3] as number);
    switch (kind) {
      case CONTENT_LENGTH:
        deciding.lengthLines += 1;
        deciding.length = readNumber(bytes, start, end);
        break;
      case TRANSFER_ENCODING:
        deciding.codingLines += 1;
        deciding.isChunked = equalsName(bytes, start, end, 'chunked');
        break;
      case CONNECTION:
        noteConnection(bytes, start, end);
        break;
      case KEEP_ALIVE:
        deciding.timeoutMs = readTimeout(bytes.toString('latin1', start, end));
    }
  }
}

function noteConnection(bytes: Buffer, start: number, end: number): void {
  if (equalsName(bytes, start, end, 'keep-alive')) {
    deciding.keepsAlive = true;
    return;
  }
  if (equalsName(bytes, start, end, 'close')) {
    deciding.closes = true;
    return;
  }
  for (const option of splitList(bytes.toString('latin1', start, end))) {
    if (option === 'close') deciding.closes = true;
    else if (option === 'keep-alive') deciding.keepsAlive = true;
    else if (option !== 'upgrade') {
      deciding.nominated ??= [];
      deciding.nominated.push(option);
    }
  }
}

/** Digits only, below 10^15; `NO_NUMBER` for all else. */
function readNumber(bytes: Buffer, start: number, end: number): number {
  if (end === start || end - start > 15) return NO_NUMBER;
  let number = 0;
  for (let at = start; at < end; at += 1) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return NO_NUMBER;
    number = number * 10 + digit;
  }
  return number;
}

function readTimeout(value: string): number | null {
  const seconds = /timeout=(\d{1,9})/i.exec(value)?.[1];
  return seconds === undefined ? null : Number(seconds) * 1000;
}

/** A connection option makes proxies drop the header that it names (RFC 9110 7.6.1); framing stays. */
function dropNominated(
  bytes: Buffer,
  base: number,
  { fields }: ResponseScanner,
  nominated: readonly string[],
): void {
  const { offsets, offsetCount, kinds } = fields;
  for (let index = 0; index < offsetCount; index += 4) {
    if (kinds[index >> 2] === CONTENT_LENGTH) continue;
    const start = base + (offsets[index] as number);
    const end = base + (offsets[index + 1] as number);
    if (nominated.some((name) => equalsName(bytes, start, end, name))) {
      kinds[index >> 2] = DROPPED;
    }
  }
}
