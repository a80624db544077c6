import { equalsName } from '../../byte-classes.js';
import { variableName } from '../../field-names.js';
import { describeForwarding } from '../../forwarded.js';
import type { RequestHead } from '../../request-head.js';
import { headersForUpstream, hostForUpstream, type RequestOrigin } from '../../upstream-headers.js';
import { copyFields, DROP, KEEP } from './copy-fields.js';
import { output } from './peer.js';

/** As many as a request may have. */
const marks = new Uint8Array(100);
/** Headers of this kind take the way by `headersForUpstream`. */
const UNCOMMON = 2;
const MAX_REMEMBERED = 4096;

/**
 * Writes a request's head for the upstream into `output`, and returns its length, -1 where it is too
 * large; the `rawBytes` of `head` must still be there. What few requests have is left to the code that both engines share.
 */
export function writeRequestHead(head: RequestHead, origin: RequestOrigin): number {
  const isCommon = head.upgrade === null && markFields(head);
  const isTrusted = origin.peerIp !== null && origin.isTrusted(origin.peerIp);
  return isCommon && !isTrusted ? writeCommon(head, origin) : writeAny(head, origin);
}

function writeCommon(head: RequestHead, origin: RequestOrigin): number {
  const to = output.bytes;
  const { rawBytes, fieldOffsets, framing } = head;
  const first = `${head.method} ${head.path} HTTP/1.1\r\nHost: ${hostForUpstream(head, origin)}\r\n`;
  let at = to.write(first, 0, 'latin1');
  const fields = {
    bytes: rawBytes,
    base: 0,
    end: rawBytes.length,
    offsets: fieldOffsets,
    offsetCount: fieldOffsets.length,
    marks,
  };
  at = copyFields(fields, to, at);
  at += to.write(forwardingLines(head.authority, origin), at, 'latin1');
  const last = framing.kind === 'chunked' ? 'Transfer-Encoding: chunked\r\n\r\n' : '\r\n';
  return at + to.write(last, at, 'latin1');
}

function writeAny(head: RequestHead, origin: RequestOrigin): number {
  const lines = [`${head.method} ${head.path} HTTP/1.1`];
  for (const { name, value } of headersForUpstream(head, origin)) lines.push(`${name}: ${value}`);
  lines.push('', '');
  const text = lines.join('\r\n');
  return text.length > output.bytes.length ? -1 : output.bytes.write(text, 0, 'latin1');
}

/** What an upstream is told of a client that isn't a trusted proxy depends on little: it is remembered. */
const remembered = new Map<string, string>();

function forwardingLines(authority: string | null, origin: RequestOrigin): string {
  const key = `${origin.peerIp} ${origin.destinationText} ${authority}`;
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const { fields } = describeForwarding({ headers: [], authority, ...origin });
  const lines = fields.map(({ name, value }) => `${name}: ${value}\r\n`).join('');
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(key, lines);
  return lines;
}

/** False: a field needs more than to be kept or dropped. */
function markFields(head: RequestHead): boolean {
  const { rawBytes, fieldOffsets } = head;
  for (let index = 0; index < fieldOffsets.length; index += 4) {
    const start = fieldOffsets[index] as number;
    const mark = markOf(head, rawBytes, index, start, fieldOffsets[index + 1] as number);
    if (mark === UNCOMMON) return false;
    marks[index >> 2] = mark;
  }
  return true;
}

function markOf(head: RequestHead, bytes: Buffer, index: number, start: number, end: number) {
  switch (end - start) {
    case 2:
      return equalsName(bytes, start, end, 'te') ? UNCOMMON : KEEP;
    case 4:
      return equalsName(bytes, start, end, 'host') ? DROP : KEEP;
    case 6:
      return head.minorVersion === 0 && equalsName(bytes, start, end, 'expect') ? DROP : KEEP;
    case 7:
      return markOfSeven(head, bytes, start, end);
    case 10:
      return markOfTen(head, bytes, index, start, end);
    case 16:
      return equalsName(bytes, start, end, 'proxy-connection')
        ? DROP
        : forwardMark(bytes, start, end);
    case 17:
      return equalsName(bytes, start, end, 'transfer-encoding')
        ? DROP
        : forwardMark(bytes, start, end);
    case 18:
      return equalsName(bytes, start, end, 'proxy-authenticate')
        ? DROP
        : forwardMark(bytes, start, end);
    case 19:
      return equalsName(bytes, start, end, 'proxy-authorization')
        ? DROP
        : forwardMark(bytes, start, end);
    default:
      return forwardMark(bytes, start, end);
  }
}

function markOfSeven(head: RequestHead, bytes: Buffer, start: number, end: number): number {
  if (equalsName(bytes, start, end, 'upgrade')) return DROP;
  const isTrailer = equalsName(bytes, start, end, 'trailer');
  return isTrailer && head.framing.kind !== 'chunked' ? DROP : KEEP;
}

function markOfTen(head: RequestHead, bytes: Buffer, index: number, start: number, end: number) {
  if (equalsName(bytes, start, end, 'keep-alive')) return DROP;
  if (!equalsName(bytes, start, end, 'connection')) return forwardMark(bytes, start, end);
  const valueStart = head.fieldOffsets[index + 2] as number;
  const valueEnd = head.fieldOffsets[index + 3] as number;
  const isPlain =
    equalsName(bytes, valueStart, valueEnd, 'keep-alive') ||
    equalsName(bytes, valueStart, valueEnd, 'close');
  return isPlain ? DROP : UNCOMMON;
}

const SHORTEST_FORWARDED = 'x-real-ip'.length;

/** What only trusted proxies may say, under any name that a server may take for it. */
function forwardMark(bytes: Buffer, start: number, end: number): number {
  if (end - start < SHORTEST_FORWARDED) return KEEP;
  const first = (bytes[start] as number) | 0x20;
  if (first !== 0x78 && first !== 0x66) return KEEP;
  const name = variableName(bytes.toString('latin1', start, end));
  return name === 'forwarded' || name === 'x-real-ip' || name.startsWith('x-forwarded-')
    ? DROP
    : KEEP;
}
