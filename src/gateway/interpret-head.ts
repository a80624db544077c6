import { METHODS } from 'node:http';
import { equalsName, HTAB } from './byte-classes.js';
import {
  CONNECTION,
  CONTENT_LENGTH,
  EXPECT,
  HOST,
  isFramingName,
  TRANSFER_ENCODING,
  UPGRADE,
} from './field-names.js';
import type { FieldSection, HttpRefusal } from './field-section.js';
import type { HeadScanner } from './head-scanner.js';
import { splitList, trimSpace } from './list-value.js';
import { CHUNKED, type RequestHead } from './request-head.js';
import { findTargetParts } from './request-target.js';

/** Methods that Node's parser knows, by length; a proxy for everybody (CONNECT) rouse isn't. */
const KNOWN_METHODS: ReadonlyArray<readonly string[] | undefined> = (() => {
  const byLength: string[][] = [];
  for (const method of METHODS) {
    if (method === 'CONNECT') continue;
    byLength[method.length] ??= [];
    byLength[method.length]?.push(method);
  }
  return byLength;
})();
const CODING = /^[!#$%&'*+\-.^_`|~\w]+$/;
const PROTOCOL = /^[!#$%&'*+\-.^_`|~\w]+(?:\/[!#$%&'*+\-.^_`|~\w]+)?$/;

/** The fields that decide, of the head at hand: how many lines, and the index of the last. */
const lines = { host: 0, length: 0, coding: 0, connection: 0, upgrade: 0, expect: 0 };
const last = { host: 0, length: 0, coding: 0, connection: 0 };

/**
 * What a scanned head means: whom the request is for, and where it ends (RFC 9110 7.2, RFC 9112
 * 3.2, 6.3). Refuses what two servers could understand differently; null: it is all in `head`.
 */
export function interpretHead(
  head: RequestHead,
  bytes: Buffer,
  base: number,
  end: number,
  scanner: HeadScanner,
): HttpRefusal | null {
  const method = findMethod(bytes, base, scanner.methodEnd);
  if (method === null) return refuseMethod(bytes, base, scanner.methodEnd);
  head.begin(bytes, base, end, scanner.fields);
  head.method = method;
  head.minorVersion = scanner.minorVersion;
  head.targetStart = base + scanner.targetStart;
  head.targetEnd = base + scanner.targetEnd;
  if (!findTargetParts(head)) return refuse('malformed target');
  const hasTab = countDeciding(head, scanner.fields);
  return (
    judgeHost(head) ?? judgeFraming(head, hasTab) ?? judgeConnection(head) ?? judgeExpect(head)
  );
}

function findMethod(bytes: Buffer, base: number, length: number): string | null {
  const candidates = KNOWN_METHODS[length];
  if (candidates === undefined) return null;
  for (const method of candidates) {
    let at = 0;
    while (at < length && bytes[base + at] === method.charCodeAt(at)) at += 1;
    if (at === length) return method;
  }
  return null;
}

function refuseMethod(bytes: Buffer, base: number, length: number): HttpRefusal {
  return { status: 501, reason: `method ${bytes.toString('latin1', base, base + length)}` };
}

/** Whether a tab stands beside a value that frames the body: not every parser takes it for space. */
function countDeciding(head: RequestHead, { kinds, offsetCount }: FieldSection): boolean {
  lines.host = lines.length = lines.coding = 0;
  lines.connection = lines.upgrade = lines.expect = 0;
  let hasTab = false;
  for (let index = 0; index < offsetCount; index += 4) {
    switch (kinds[index >> 2]) {
      case HOST:
        lines.host += 1;
        last.host = index;
        break;
      case CONTENT_LENGTH:
        lines.length += 1;
        last.length = index;
        hasTab ||= hasTabIn(head, index);
        break;
      case TRANSFER_ENCODING:
        lines.coding += 1;
        last.coding = index;
        hasTab ||= hasTabIn(head, index);
        break;
      case CONNECTION:
        lines.connection += 1;
        last.connection = index;
        break;
      case UPGRADE:
        lines.upgrade += 1;
        break;
      case EXPECT:
        lines.expect += 1;
    }
  }
  return hasTab;
}

function hasTabIn({ bytes, base, end, fields }: RequestHead, index: number): boolean {
  const { offsets, offsetCount } = fields;
  const lineEnd = index + 4 < offsetCount ? base + (offsets[index + 4] as number) : end - 2;
  return bytes.subarray(base + (offsets[index + 1] as number), lineEnd).includes(HTAB);
}

function valueStart({ base, fields }: RequestHead, index: number): number {
  return base + (fields.offsets[index + 2] as number);
}

function valueEnd({ base, fields }: RequestHead, index: number): number {
  return base + (fields.offsets[index + 3] as number);
}

/** The values of all lines of a kind, joined by commas (RFC 9110 5.3). */
function joinValues(head: RequestHead, kind: number): string {
  const { kinds, offsetCount } = head.fields;
  const values: string[] = [];
  for (let index = 0; index < offsetCount; index += 4) {
    if (kinds[index >> 2] !== kind) continue;
    values.push(head.bytes.toString('latin1', valueStart(head, index), valueEnd(head, index)));
  }
  return values.join(',');
}

/** HTTP/1.0 may do without a host. */
function judgeHost(head: RequestHead): HttpRefusal | null {
  const { bytes, place } = head;
  if (lines.host > 1) return refuse('several Host headers');
  if (lines.host === 0 && head.minorVersion === 1) return refuse('no Host header');
  // Of an absolute-form target, which wins (RFC 9112 3.2.2).
  const { authorityStart, authorityEnd } = head;
  if (lines.host === 1) {
    head.authorityStart = valueStart(head, last.host);
    head.authorityEnd = valueEnd(head, last.host);
    if (!place.read(bytes, head.authorityStart, head.authorityEnd)) {
      return refuse('malformed Host header');
    }
  }
  if (head.pathStart === head.targetStart) return null;
  head.authorityStart = authorityStart;
  head.authorityEnd = authorityEnd;
  const isSound = place.read(bytes, authorityStart, authorityEnd);
  return isSound ? null : refuse('malformed host in the target');
}

function judgeFraming(head: RequestHead, hasTab: boolean): HttpRefusal | null {
  if (lines.length === 0 && lines.coding === 0) return null;
  if (hasTab) return refuse('tab beside Content-Length or Transfer-Encoding');
  if (lines.coding === 0) return judgeContentLength(head);
  if (lines.length > 0) return refuse('both Content-Length and Transfer-Encoding');
  if (head.minorVersion === 0) return refuse('Transfer-Encoding in HTTP/1.0');
  if (lines.coding > 1) return refuse('several Transfer-Encoding headers');
  const start = valueStart(head, last.coding);
  const end = valueEnd(head, last.coding);
  if (!equalsName(head.bytes, start, end, 'chunked')) {
    return isUnknownCoding(head.bytes.toString('latin1', start, end).toLowerCase())
      ? { status: 501, reason: 'unknown transfer coding' }
      : refuse('Transfer-Encoding other than chunked');
  }
  head.framing = CHUNKED;
  return null;
}

const MAX_LENGTH_DIGITS = 16;

function judgeContentLength(head: RequestHead): HttpRefusal | null {
  const start = valueStart(head, last.length);
  const end = valueEnd(head, last.length);
  let length = 0;
  for (let at = start; at < end; at += 1) {
    const digit = (head.bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return refuse('Content-Length that is no number');
    length = length * 10 + digit;
  }
  if (start === end || lines.length > 1) return refuse('Content-Length that is no number');
  if (end - start > MAX_LENGTH_DIGITS || !Number.isSafeInteger(length)) {
    return refuse('Content-Length too large');
  }
  if (length > 0) head.framing = { kind: 'length', bytes: length };
  return null;
}

/** Plainly other codings (RFC 9112 6.1), as against attempts to have `chunked` read or overlooked. */
function isUnknownCoding(value: string): boolean {
  const codings = value.split(',').map(trimSpace);
  if (codings.at(-1) === 'chunked') codings.pop();
  return codings.every((coding) => CODING.test(coding) && !/chunked|identity/.test(coding));
}

/** What `Connection` says (RFC 9110 7.6.1), without work for what almost every request says. */
function judgeConnection(head: RequestHead): HttpRefusal | null {
  head.keepAlive = head.minorVersion === 1;
  if (lines.connection === 0) return null;
  if (lines.connection === 1 && takePlainOption(head)) return null;
  const options = splitList(joinValues(head, CONNECTION));
  // An option makes proxies drop the header that it names.
  for (const option of options) {
    if (!CODING.test(option)) return refuse('malformed Connection header');
    if (isFramingName(option)) return refuse(`Connection names ${option}`);
  }
  head.keepAlive = !options.includes('close') && (head.keepAlive || options.includes('keep-alive'));
  return lines.upgrade > 0 && options.includes('upgrade') ? judgeUpgrade(head) : null;
}

/** Whether the only option is one of the two that say nothing else. */
function takePlainOption(head: RequestHead): boolean {
  const start = valueStart(head, last.connection);
  const end = valueEnd(head, last.connection);
  const keepsAlive = equalsName(head.bytes, start, end, 'keep-alive');
  if (!keepsAlive && !equalsName(head.bytes, start, end, 'close')) return false;
  head.keepAlive = keepsAlive;
  return true;
}

function judgeUpgrade(head: RequestHead): HttpRefusal | null {
  if (head.minorVersion === 0) return refuse('Upgrade in HTTP/1.0');
  const protocols = splitList(joinValues(head, UPGRADE));
  const isValid = protocols.length > 0 && protocols.every((protocol) => PROTOCOL.test(protocol));
  if (!isValid) return refuse('malformed Upgrade header');
  head.upgrade = protocols;
  return null;
}

function judgeExpect(head: RequestHead): HttpRefusal | null {
  if (lines.expect === 0 || head.minorVersion === 0) return null;
  const expectations = splitList(joinValues(head, EXPECT));
  head.expectContinue = expectations.every((expectation) => expectation === '100-continue');
  return head.expectContinue ? null : { status: 417, reason: 'unknown expectation' };
}

function refuse(reason: string): HttpRefusal {
  return { status: 400, reason };
}
