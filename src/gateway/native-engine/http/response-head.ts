import { equalsName } from '../../byte-classes.js';
import { splitList } from '../../list-value.js';
import { DROP, KEEP } from './copy-fields.js';
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

/** A field's mark in `ResponseScanner.marks`: kept only with a chunked body. */
export const KEEP_TRAILER = 2;
/** Kept only where the status says what to upgrade to. */
export const KEEP_UPGRADE = 3;

interface Deciding {
  length: number;
  lengthLines: number;
  isChunked: boolean;
  codingLines: number;
  closes: boolean;
  keepsAlive: boolean;
  timeoutMs: number | null;
  nominated: string[] | null;
}

const NO_NUMBER = -1;

/**
 * What a scanned head means, and marks its fields; a text: what is wrong with it. `isForHead`: the
 * request was HEAD.
 */
export function interpretResponse(
  bytes: Buffer,
  base: number,
  scanner: ResponseScanner,
  isForHead: boolean,
): ResponseFacts | string {
  const { status, minorVersion } = scanner;
  const deciding = readDeciding(bytes, base, scanner);
  const { lengthLines, codingLines, length, isChunked } = deciding;
  if (codingLines > 0 && lengthLines > 0) return 'both Content-Length and Transfer-Encoding';
  if (lengthLines > 1) return 'several Content-Length headers';
  if (lengthLines > 0 && length === NO_NUMBER) return 'Content-Length that is no number';
  if (codingLines > 0 && minorVersion === 0) return 'Transfer-Encoding in HTTP/1.0';
  if (codingLines > 1 || (codingLines > 0 && !isChunked)) return 'unknown transfer coding';
  if (deciding.nominated) markNominated(bytes, base, scanner, deciding.nominated);
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

function readDeciding(bytes: Buffer, base: number, scanner: ResponseScanner): Deciding {
  const { fields, marks, status } = scanner;
  const { offsets, offsetCount } = fields;
  const found: Deciding = {
    length: NO_NUMBER,
    lengthLines: 0,
    isChunked: false,
    codingLines: 0,
    closes: false,
    keepsAlive: false,
    timeoutMs: null,
    nominated: null,
  };
  for (let index = 0; index < offsetCount; index += 4) {
    const start = base + (offsets[index] as number);
    const end = base + (offsets[index + 1] as number);
    const name = specialName(bytes, start, end);
    if (name === null) {
      marks[index >> 2] = KEEP;
      continue;
    }
    const valueStart = base + (offsets[index + 2] as number);
    const valueEnd = base + (offsets[index + 3] as number);
    marks[index >> 2] = noteField(found, name, bytes, valueStart, valueEnd, status);
  }
  return found;
}

function noteField(
  found: Deciding,
  name: SpecialName,
  bytes: Buffer,
  start: number,
  end: number,
  status: number,
): number {
  switch (name) {
    case 'content-length':
      found.lengthLines += 1;
      found.length = readNumber(bytes, start, end);
      return status < 200 || status === 204 ? DROP : KEEP;
    case 'transfer-encoding':
      found.codingLines += 1;
      found.isChunked = equalsName(bytes, start, end, 'chunked');
      return DROP;
    case 'connection':
      noteConnection(found, bytes, start, end);
      return DROP;
    case 'keep-alive':
      found.timeoutMs = readTimeout(bytes.toString('latin1', start, end));
      return DROP;
    case 'trailer':
      return KEEP_TRAILER;
    case 'upgrade':
      return KEEP_UPGRADE;
    default:
      return DROP;
  }
}

type SpecialName =
  | 'te'
  | 'trailer'
  | 'upgrade'
  | 'connection'
  | 'keep-alive'
  | 'content-length'
  | 'proxy-connection'
  | 'transfer-encoding'
  | 'proxy-authenticate'
  | 'proxy-authorization';

const BY_LENGTH: ReadonlyArray<readonly SpecialName[] | undefined> = (() => {
  const byLength: SpecialName[][] = [];
  const names: SpecialName[] = [
    'te',
    'trailer',
    'upgrade',
    'connection',
    'keep-alive',
    'content-length',
    'proxy-connection',
    'transfer-encoding',
    'proxy-authenticate',
    'proxy-authorization',
  ];
  for (const name of names) {
    byLength[name.length] ??= [];
    byLength[name.length]?.push(name);
  }
  return byLength;
})();

/** Null for fields that are sent on as they are: the others are for this connection, or frame the body. */
function specialName(bytes: Buffer, start: number, end: number): SpecialName | null {
  const candidates = BY_LENGTH[end - start];
  if (candidates === undefined) return null;
  for (const name of candidates) if (equalsName(bytes, start, end, name)) return name;
  return null;
}

function noteConnection(found: Deciding, bytes: Buffer, start: number, end: number): void {
  if (equalsName(bytes, start, end, 'keep-alive')) {
    found.keepsAlive = true;
    return;
  }
  if (equalsName(bytes, start, end, 'close')) {
    found.closes = true;
    return;
  }
  for (const option of splitList(bytes.toString('latin1', start, end))) {
    if (option === 'close') found.closes = true;
    else if (option === 'keep-alive') found.keepsAlive = true;
    else if (option !== 'upgrade') {
      found.nominated ??= [];
      found.nominated.push(option);
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
function markNominated(
  bytes: Buffer,
  base: number,
  { fields, marks }: ResponseScanner,
  nominated: readonly string[],
): void {
  const { offsets, offsetCount } = fields;
  for (let index = 0; index < offsetCount; index += 4) {
    const start = base + (offsets[index] as number);
    const end = base + (offsets[index + 1] as number);
    if (equalsName(bytes, start, end, 'content-length')) continue;
    if (nominated.some((name) => equalsName(bytes, start, end, name))) marks[index >> 2] = DROP;
  }
}
