import type { Parsed, ProxyRequest } from './proxy-request.js';
import { EGRESS_REFUSALS, type EgressRefusalCode } from './refusals.js';
import { parseAuthority } from './target.js';

const HEAD_LIMIT_BYTES = 16 * 1024;

const HEAD_END = '\r\n\r\n';
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/1\.[01]$/;
const FIELD_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*)$/;
const ABSOLUTE_FORM = /^http:\/\/([^/?#]+)([/?][^#]*)?$/i;
const NO_BYTES = Buffer.alloc(0);
const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');

/** Fields that are for this proxy or this connection only (RFC 9110 7.6.1), and Host, which is written anew. */
const DROPPED_FIELDS = new Set([
  ...['host', 'connection', 'keep-alive', 'te', 'upgrade'],
  ...['proxy-connection', 'proxy-authorization', 'proxy-authenticate'],
]);
/** Connection can name any field; how long the body is stays said whatever it names. */
const KEPT_FIELDS = new Set(['content-length', 'transfer-encoding']);

/**
 * Reads the head of a request to a proxy: CONNECT (RFC 9110 9.3.6), or any method with an absolute
 * `http:` target (RFC 9112 3.2.2). Of the latter one request is passed on a connection: it goes on
 * with `Connection: close`, and what follows the head is moved as it is.
 */
export function parseHttpRequest(bytes: Buffer): Parsed<ProxyRequest> | null {
  const end = bytes.indexOf(HEAD_END);
  const isTooLarge = end < 0 ? bytes.length >= HEAD_LIMIT_BYTES : end > HEAD_LIMIT_BYTES;
  if (isTooLarge) return { refusal: 'head-too-large' };
  if (end < 0) return null;
  const [requestLine = '', ...fieldLines] = bytes.toString('latin1', 0, end).split('\r\n');
  const [, method, target] = REQUEST_LINE.exec(requestLine) ?? [];
  const fields = parseFields(fieldLines);
  if (method === undefined || target === undefined || fields === null) {
    return { refusal: 'malformed' };
  }
  const request = method === 'CONNECT' ? tunnelTo(target) : forwardTo(method, target, fields);
  return request === null
    ? { refusal: 'malformed' }
    : { value: request, lengthBytes: end + HEAD_END.length };
}

function tunnelTo(authority: string): ProxyRequest | null {
  const target = parseAuthority(authority, null);
  return target && { target, granted: ESTABLISHED, preface: NO_BYTES };
}

function forwardTo(method: string, uri: string, fields: readonly Field[]): ProxyRequest | null {
  const [, authority = '', path = '/'] = ABSOLUTE_FORM.exec(uri) ?? [];
  const target = parseAuthority(authority, 80);
  if (target === null) return null;
  const named = new Set(fields.filter(({ key }) => key === 'connection').flatMap(namesIn));
  const passed = fields.filter(
    ({ key }) => KEPT_FIELDS.has(key) || !(DROPPED_FIELDS.has(key) || named.has(key)),
  );
  const head = [
    `${method} ${path.startsWith('?') ? '/' : ''}${path} HTTP/1.1`,
    `Host: ${authority}`,
    ...passed.map(({ line }) => line),
    ...['Via: 1.1 rouse', 'Connection: close', '', ''],
  ];
  return { target, granted: NO_BYTES, preface: Buffer.from(head.join('\r\n'), 'latin1') };
}

interface Field {
  readonly key: string;
  readonly value: string;
  readonly line: string;
}

function parseFields(lines: readonly string[]): Field[] | null {
  const fields = lines.map((line) => {
    const [, name, value = ''] = FIELD_LINE.exec(line) ?? [];
    return name === undefined ? null : { key: name.toLowerCase(), value, line };
  });
  const known = fields.filter((field) => field !== null);
  return known.length === fields.length ? known : null;
}

function namesIn({ value }: Field): string[] {
  return value.split(',').map((name) => name.trim().toLowerCase());
}

/** A whole response that closes the connection. */
export function httpRefusal(code: EgressRefusalCode): Buffer {
  const { status, sentence } = EGRESS_REFUSALS[code];
  const body = `rouse: ${sentence}\n`;
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

const REASONS: Readonly<Record<(typeof EGRESS_REFUSALS)[EgressRefusalCode]['status'], string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  431: 'Request Header Fields Too Large',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};
