import { equalsName } from './byte-classes.js';
import type { HttpRefusal } from './field-section.js';

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

/** Refuses twins of the framing headers, such as `Transfer_Encoding`. */
export function checkHeaderName(bytes: Uint8Array, start: number, end: number): HttpRefusal | null {
  const length = end - start;
  if (length === 14) return checkTwin(bytes, start, end, 'content-length', 7);
  return length === 17 ? checkTwin(bytes, start, end, 'transfer-encoding', 8) : null;
}

/** Refuses trailers that would change what the request was understood as. */
export function checkTrailerName(
  bytes: Uint8Array,
  start: number,
  end: number,
): HttpRefusal | null {
  const name = variableName(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
  const isForbidden =
    FORBIDDEN_TRAILERS.has(name) || name.startsWith('if-') || name.startsWith('x-forwarded-');
  return isForbidden ? REFUSE_TRAILER : null;
}

const FORBIDDEN_RESPONSE_TRAILERS = new Set([...FRAMING_NAMES, 'connection', 'upgrade']);

/** Refuses trailers that would change how a response is framed. */
export function checkResponseTrailerName(
  bytes: Uint8Array,
  start: number,
  end: number,
): HttpRefusal | null {
  const name = variableName(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
  return FORBIDDEN_RESPONSE_TRAILERS.has(name) ? REFUSE_TRAILER : null;
}

function checkTwin(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: string,
  hyphenAt: number,
): HttpRefusal | null {
  const separator = bytes[start + hyphenAt] as number;
  if (separator === 0x2d) return null;
  const isTwin =
    equalsName(bytes, start, start + hyphenAt, name.slice(0, hyphenAt)) &&
    equalsName(bytes, start + hyphenAt + 1, end, name.slice(hyphenAt + 1));
  return isTwin ? REFUSE_TWIN : null;
}
