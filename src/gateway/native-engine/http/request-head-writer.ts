import { equalsName } from '../../byte-classes.js';
import {
  CONNECTION,
  EXPECT,
  FOR_PROXY,
  FORWARDED,
  HOST,
  KEEP_ALIVE,
  TE,
  TRAILER,
  TRANSFER_ENCODING,
  UPGRADE,
} from '../../field-names.js';
import type { RequestHead } from '../../request-head.js';
import { headersForUpstream, type RequestOrigin } from '../../upstream-headers.js';
import { CHUNKED_LINE, copyFields, dropping, endLine } from './copy-fields.js';
import type { ForwardingLines } from './forwarding-lines.js';
import { bytes, OUTPUT_AT, OUTPUT_BYTES, put, SLOT_BYTES, stage } from './memory.js';

const NEVER_SENT_ON = [CONNECTION, KEEP_ALIVE, UPGRADE, FOR_PROXY, FORWARDED, TRANSFER_ENCODING];
const FOR_BODY = dropping(...NEVER_SENT_ON, TRAILER);
const FOR_CHUNKED = dropping(...NEVER_SENT_ON);
const FOR_OLD = dropping(...NEVER_SENT_ON, TRAILER, EXPECT);

const HOST_NAME = Buffer.from('Host');
const ONE = 0x31;

/**
 * Whether a head has the form of almost all: it goes to the upstream as it came, but for what is for
 * this connection only and for what upstreams are told of the client.
 */
export function isCommon(head: RequestHead): boolean {
  if (head.upgrade !== null || !head.hasAuthority) return false;
  if (head.pathStart !== head.targetStart) return false;
  const { offsetCount, kinds } = head.fields;
  for (let index = 0; index < offsetCount; index += 4) {
    const kind = kinds[index >> 2];
    if (kind === TE || (kind === CONNECTION && !isPlainOption(head, index))) return false;
  }
  return true;
}

function isPlainOption({ bytes: from, base, fields }: RequestHead, index: number): boolean {
  const start = base + (fields.offsets[index + 2] as number);
  const end = base + (fields.offsets[index + 3] as number);
  return equalsName(from, start, end, 'keep-alive') || equalsName(from, start, end, 'close');
}

/** Whether the common form of a head has room in a slot. */
export function fitsSlot(head: RequestHead, lines: ForwardingLines): boolean {
  const authorityBytes = head.authorityEnd - head.authorityStart;
  return head.end - head.base + lines.length + 2 * authorityBytes <= SLOT_BYTES;
}

/** Writes the common form to `at`, and returns where it ends. */
export function writeCommon(head: RequestHead, lines: ForwardingLines, at: number): number {
  const { base, end, fields, framing } = head;
  const from = stage(head.bytes, base, end);
  const moved = from - base;
  nameAlike(head, moved);
  const isChunked = framing.kind === 'chunked';
  const dropped = isChunked ? FOR_CHUNKED : head.minorVersion === 0 ? FOR_OLD : FOR_BODY;
  let to = copyFields(from, end + moved, fields, dropped, from, at);
  to = lines.write(head.authorityStart + moved, head.authorityEnd + moved, to);
  if (isChunked) to = put(CHUNKED_LINE, to);
  return endLine(to);
}

/** The version is ours, and `Host` is written one way. */
function nameAlike({ base, targetEnd, fields }: RequestHead, moved: number): void {
  const { offsets, offsetCount, kinds } = fields;
  bytes[targetEnd + moved + ' HTTP/1.'.length] = ONE;
  for (let index = 0; index < offsetCount; index += 4) {
    if (kinds[index >> 2] === HOST) put(HOST_NAME, base + moved + (offsets[index] as number));
  }
}

/** Writes any head to `OUTPUT_AT`, and returns where it ends, -1 where it is too large. */
export function writeAny(head: RequestHead, origin: RequestOrigin): number {
  const lines = [`${head.method} ${head.path} HTTP/1.1`];
  for (const { name, value } of headersForUpstream(head, origin)) lines.push(`${name}: ${value}`);
  lines.push('', '');
  const text = lines.join('\r\n');
  if (text.length > OUTPUT_BYTES) return -1;
  return OUTPUT_AT + bytes.write(text, OUTPUT_AT, 'latin1');
}
