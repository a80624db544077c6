import type { HttpRefusal } from './field-section.js';

/** What a field's name means to a proxy: kept in `FieldSection.kinds`. 0: nothing. */
const PLAIN = 0;
export const HOST = 1;
export const CONTENT_LENGTH = 2;
export const TRANSFER_ENCODING = 3;
export const CONNECTION = 4;
export const KEEP_ALIVE = 5;
export const UPGRADE = 6;
export const EXPECT = 7;
export const TE = 8;
export const TRAILER = 9;
/** Proxy-Connection, Proxy-Authenticate, Proxy-Authorization: for the next proxy only. */
export const FOR_PROXY = 10;
/** What proxies tell of those before them, under any name that a server may take for it. */
export const FORWARDED = 11;

/** Instead of a kind: why nobody may have such a field. */
const REFUSED_TWIN = -1;
const REFUSED_TRAILER = -2;

/** Fields that say where a request ends or whom it is for: nobody may see another one than rouse. */
const FRAMING_NAMES = ['content-length', 'transfer-encoding', 'host'];

/** RFC 9110 6.5.1: framing, routing, modifiers, authentication, format; and what proxies are believed. */
const FORBIDDEN_TRAILERS = new Set([
  ...FRAMING_NAMES,
  'authorization',
  'cache-control',
  'connection',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'keep-alive',
  'max-forwards',
  'pragma',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'te',
  'trailer',
  'upgrade',
  'x-real-ip',
]);

const REFUSE_TWIN: HttpRefusal = {
  status: 400,
  reason: 'header name that some servers take for a framing header',
};
const REFUSE_TRAILER: HttpRefusal = { status: 400, reason: 'forbidden trailer field' };

/** What a client is told of a name that was refused. */
export function refusalOfName(refused: number): HttpRefusal {
  return refused === REFUSED_TWIN ? REFUSE_TWIN : REFUSE_TRAILER;
}

/**
 * The name as servers see it that turn headers into variables (RFC 3875 4.1.18): lower case, and
 * `-` for all but letters and digits. `Content_Length` and `content.length` are `content-length`.
 */
export function variableName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

/** Whether the field, or what some servers take it for, decides a request's framing or routing. */
export function isFramingName(name: string): boolean {
  return (
    FRAMING_NAMES.some(({ length }) => length === name.length) &&
    FRAMING_NAMES.includes(variableName(name))
  );
}

/** The kind of a message's header. Its bytes are those of a token. */
export function kindOfHeader(bytes: Uint8Array, start: number, end: number): number {
  switch (end - start) {
    case 2:
      return isName(bytes, start, 'te') ? TE : PLAIN;
    case 4:
      return isName(bytes, start, 'host') ? HOST : PLAIN;
    case 6:
      return isName(bytes, start, 'expect') ? EXPECT : PLAIN;
    case 7:
      if (isName(bytes, start, 'upgrade')) return UPGRADE;
      return isName(bytes, start, 'trailer') ? TRAILER : PLAIN;
    case 9: {
      const isForwarded = isName(bytes, start, 'forwarded') || isTwin(bytes, start, 'x-real-ip');
      return isForwarded ? FORWARDED : PLAIN;
    }
    case 10:
      if (isName(bytes, start, 'connection')) return CONNECTION;
      return isName(bytes, start, 'keep-alive') ? KEEP_ALIVE : PLAIN;
    default:
      return end - start < 12 ? PLAIN : kindOfLong(bytes, start, end);
  }
}

function kindOfLong(bytes: Uint8Array, start: number, end: number): number {
  switch (end - start) {
    case 14:
      if (isTwin(bytes, start, 'content-length')) {
        return isName(bytes, start, 'content-length') ? CONTENT_LENGTH : REFUSED_TWIN;
      }
      break;
    case 16:
      if (isName(bytes, start, 'proxy-connection')) return FOR_PROXY;
      break;
    case 17:
      if (isTwin(bytes, start, 'transfer-encoding')) {
        return isName(bytes, start, 'transfer-encoding') ? TRANSFER_ENCODING : REFUSED_TWIN;
      }
      break;
    case 18:
      if (isName(bytes, start, 'proxy-authenticate')) return FOR_PROXY;
      break;
    case 19:
      if (isName(bytes, start, 'proxy-authorization')) return FOR_PROXY;
      break;
  }
  return isTwin(bytes, start, 'x-forwarded-') ? FORWARDED : PLAIN;
}

/** As `kindOfHeader`; a response may have what for a request would be a twin. */
export function kindOfResponseHeader(bytes: Uint8Array, start: number, end: number): number {
  const kind = kindOfHeader(bytes, start, end);
  return kind < 0 ? PLAIN : kind;
}

/** Refuses trailers that would change what the request was understood as. */
export function kindOfTrailer(bytes: Uint8Array, start: number, end: number): number {
  const name = variableName(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
  const isForbidden =
    FORBIDDEN_TRAILERS.has(name) || name.startsWith('if-') || name.startsWith('x-forwarded-');
  return isForbidden ? REFUSED_TRAILER : PLAIN;
}

const FORBIDDEN_RESPONSE_TRAILERS = new Set([...FRAMING_NAMES, 'connection', 'upgrade']);

/** Refuses trailers that would change how a response is framed. */
export function kindOfResponseTrailer(bytes: Uint8Array, start: number, end: number): number {
  const name = variableName(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
  return FORBIDDEN_RESPONSE_TRAILERS.has(name) ? REFUSED_TRAILER : PLAIN;
}

/**
 * Whether a token begins with a name of letters and hyphens, given in lower case. With 0x20 set no
 * other byte of a token (RFC 9110 5.6.2) becomes one of these.
 */
function isName(bytes: Uint8Array, start: number, lower: string): boolean {
  for (let index = 0; index < lower.length; index += 1) {
    if (((bytes[start + index] as number) | 0x20) !== lower.charCodeAt(index)) return false;
  }
  return true;
}

/** The same under `variableName`: anything but letters and digits will do for a hyphen. */
function isTwin(bytes: Uint8Array, start: number, lower: string): boolean {
  for (let index = 0; index < lower.length; index += 1) {
    const byte = (bytes[start + index] as number) | 0x20;
    const expected = lower.charCodeAt(index);
    if (expected === 0x2d ? isAlphanumeric(byte) : byte !== expected) return false;
  }
  return true;
}

/** Of a byte with 0x20 set. */
function isAlphanumeric(lower: number): boolean {
  return (lower >= 0x61 && lower <= 0x7a) || (lower >= 0x30 && lower <= 0x39);
}
