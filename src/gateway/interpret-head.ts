import { METHODS } from 'node:http';
import { equalsName, HTAB } from './byte-classes.js';
import { isFramingName } from './field-names.js';
import type { HttpRefusal } from './field-section.js';
import type { HeadScanner } from './head-scanner.js';
import { type HostAndPort, parseHostHeader } from './host-name.js';
import { splitList, trimSpace } from './list-value.js';
import { type BodyFraming, RequestHead } from './request-head.js';

/** The headers that decide; several lines of one name are joined by commas (RFC 9110 5.3). */
interface Deciding {
  host: string | null;
  hostLines: number;
  contentLength: string | null;
  transferEncoding: string | null;
  transferEncodingLines: number;
  connection: string | null;
  upgrade: string | null;
  expect: string | null;
  /** A tab stands beside a value that frames the body: not every parser takes it for space. */
  hasTab: boolean;
}

interface Target {
  /** Of an absolute-form target; null for other forms. */
  readonly authority: string | null;
  readonly path: string;
}

/** Methods that Node's parser knows; a proxy for everybody (CONNECT) rouse isn't. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(
  METHODS.filter((method) => method !== 'CONNECT'),
);
const CODING = /^[!#$%&'*+\-.^_`|~\w]+$/;
const PROTOCOL = /^[!#$%&'*+\-.^_`|~\w]+(?:\/[!#$%&'*+\-.^_`|~\w]+)?$/;
const ABSOLUTE_FORM = /^https?:\/\/([^/?]*)(.*)$/i;

/**
 * What a scanned head means: whom the request is for, and where it ends (RFC 9110 7.2, RFC 9112
 * 3.2, 6.3). Refuses what two servers could understand differently. The head keeps `bytes`, and
 * takes its headers from there when they are asked for.
 */
export function interpretHead(
  bytes: Buffer,
  base: number,
  end: number,
  scanner: HeadScanner,
): RequestHead | HttpRefusal {
  const method = bytes.toString('latin1', base, base + scanner.methodEnd);
  if (!KNOWN_METHODS.has(method)) return { status: 501, reason: `method ${method}` };
  const target = bytes.toString('latin1', base + scanner.targetStart, base + scanner.targetEnd);
  const parsedTarget = parseTarget(method, target);
  if (parsedTarget === null) return refuse('malformed target');
  const offsets = scanner.copyOffsets();
  const deciding = readDeciding(bytes, base, end, offsets);
  const { minorVersion } = scanner;
  const place = judgeHost(deciding, parsedTarget, minorVersion);
  if (isRefusal(place)) return place;
  const framing = judgeFraming(deciding, minorVersion);
  if (isRefusal(framing)) return framing;
  const options = splitOptions(deciding.connection);
  const connectionFault = judgeConnection(options);
  if (connectionFault !== null) return connectionFault;
  const upgrade = judgeUpgrade(deciding, options, minorVersion);
  if (isRefusal(upgrade)) return upgrade;
  const expectContinue = judgeExpect(deciding, minorVersion);
  if (isRefusal(expectContinue)) return expectContinue;
  const facts = {
    method,
    target,
    minorVersion,
    path: parsedTarget.path,
    authority: parsedTarget.authority ?? deciding.host,
    host: place?.host ?? null,
    port: place?.port ?? null,
    framing,
    keepAlive: !options.includes('close') && (minorVersion === 1 || options.includes('keep-alive')),
    upgrade,
    expectContinue,
  };
  return new RequestHead(facts, bytes.subarray(base, end), offsets);
}

export function isRefusal(value: unknown): value is HttpRefusal {
  return typeof value === 'object' && value !== null && 'status' in value;
}

function readDeciding(
  bytes: Buffer,
  base: number,
  headEnd: number,
  offsets: readonly number[],
): Deciding {
  const found: Deciding = {
    host: null,
    hostLines: 0,
    contentLength: null,
    transferEncoding: null,
    transferEncodingLines: 0,
    connection: null,
    upgrade: null,
    expect: null,
    hasTab: false,
  };
  for (let index = 0; index < offsets.length; index += 4) {
    const start = base + (offsets[index] as number);
    const end = base + (offsets[index + 1] as number);
    const key = decidingKey(bytes, start, end);
    if (key === null) continue;
    const valueStart = base + (offsets[index + 2] as number);
    const value = bytes.toString('latin1', valueStart, base + (offsets[index + 3] as number));
    const before = found[key];
    found[key] = before === null ? value : `${before},${value}`;
    if (key === 'host') found.hostLines += 1;
    if (key === 'transferEncoding') found.transferEncodingLines += 1;
    if (key === 'transferEncoding' || key === 'contentLength') {
      const next = offsets[index + 4];
      const lineEnd = next === undefined ? headEnd - 2 : base + next;
      found.hasTab ||= bytes.subarray(end, lineEnd).includes(HTAB);
    }
  }
  return found;
}

type DecidingKey = Exclude<keyof Deciding, 'hostLines' | 'transferEncodingLines' | 'hasTab'>;

const DECIDING_BY_LENGTH: ReadonlyArray<{ name: string; key: DecidingKey } | undefined> = (() => {
  const byLength: Array<{ name: string; key: DecidingKey } | undefined> = [];
  byLength[4] = { name: 'host', key: 'host' };
  byLength[6] = { name: 'expect', key: 'expect' };
  byLength[7] = { name: 'upgrade', key: 'upgrade' };
  byLength[10] = { name: 'connection', key: 'connection' };
  byLength[14] = { name: 'content-length', key: 'contentLength' };
  byLength[17] = { name: 'transfer-encoding', key: 'transferEncoding' };
  return byLength;
})();

function decidingKey(bytes: Buffer, start: number, end: number): DecidingKey | null {
  const candidate = DECIDING_BY_LENGTH[end - start];
  if (candidate === undefined) return null;
  return equalsName(bytes, start, end, candidate.name) ? candidate.key : null;
}

function parseTarget(method: string, target: string): Target | null {
  if (target.startsWith('/')) return { authority: null, path: target };
  if (target === '*') return method === 'OPTIONS' ? { authority: null, path: '*' } : null;
  const match = ABSOLUTE_FORM.exec(target);
  if (match === null) return null;
  const [, authority = '', rest = ''] = match;
  if (rest === '' && method === 'OPTIONS') return { authority, path: '*' };
  return { authority, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/** Null: HTTP/1.0 without a host. */
function judgeHost(
  { host, hostLines }: Deciding,
  { authority }: Target,
  minorVersion: 0 | 1,
): HostAndPort | null | HttpRefusal {
  if (hostLines > 1) return refuse('several Host headers');
  if (host === null && minorVersion === 1) return refuse('no Host header');
  const fromHeader = host === null ? null : parseHost(host);
  if (host !== null && fromHeader === null) return refuse('malformed Host header');
  if (authority === null) return fromHeader;
  return parseHostHeader(authority) ?? refuse('malformed host in the target');
}

let lastHost: { readonly text: string; readonly parsed: HostAndPort | null } = {
  text: '',
  parsed: null,
};

/** A connection's requests mostly name one host: the last one is remembered. */
function parseHost(text: string): HostAndPort | null {
  if (text !== lastHost.text) lastHost = { text, parsed: parseHostHeader(text) };
  return lastHost.parsed;
}

function judgeFraming(deciding: Deciding, minorVersion: 0 | 1): BodyFraming | HttpRefusal {
  const { contentLength, transferEncoding, transferEncodingLines, hasTab } = deciding;
  if (hasTab) return refuse('tab beside Content-Length or Transfer-Encoding');
  if (transferEncoding === null) return judgeContentLength(contentLength);
  if (contentLength !== null) return refuse('both Content-Length and Transfer-Encoding');
  if (minorVersion === 0) return refuse('Transfer-Encoding in HTTP/1.0');
  if (transferEncodingLines > 1) return refuse('several Transfer-Encoding headers');
  if (transferEncoding.toLowerCase() === 'chunked') return CHUNKED;
  return isUnknownCoding(transferEncoding.toLowerCase())
    ? { status: 501, reason: 'unknown transfer coding' }
    : refuse('Transfer-Encoding other than chunked');
}

function judgeContentLength(text: string | null): BodyFraming | HttpRefusal {
  if (text === null) return NO_BODY;
  if (!/^\d+$/.test(text)) return refuse('Content-Length that is no number');
  const bytes = Number(text);
  if (text.length > 16 || !Number.isSafeInteger(bytes)) return refuse('Content-Length too large');
  return bytes === 0 ? NO_BODY : { kind: 'length', bytes };
}

const NO_BODY: BodyFraming = { kind: 'none' };
const CHUNKED: BodyFraming = { kind: 'chunked' };

/** Plainly other codings (RFC 9112 6.1), as against attempts to have `chunked` read or overlooked. */
function isUnknownCoding(value: string): boolean {
  const codings = value.split(',').map(trimSpace);
  if (codings.at(-1) === 'chunked') codings.pop();
  return codings.every((coding) => CODING.test(coding) && !/chunked|identity/.test(coding));
}

/** A connection option makes proxies drop the header that it names (RFC 9110 7.6.1). */
function judgeConnection(options: readonly string[]): HttpRefusal | null {
  for (const option of options) {
    if (!CODING.test(option)) return refuse('malformed Connection header');
    if (isFramingName(option)) return refuse(`Connection names ${option}`);
  }
  return null;
}

const NO_OPTIONS: readonly string[] = [];
const KEEP_ALIVE: readonly string[] = ['keep-alive'];

/** Without work for what almost every request says. */
function splitOptions(connection: string | null): readonly string[] {
  if (connection === null) return NO_OPTIONS;
  return connection === 'keep-alive' ? KEEP_ALIVE : splitList(connection);
}

function judgeUpgrade(
  { upgrade }: Deciding,
  options: readonly string[],
  minorVersion: 0 | 1,
): string[] | null | HttpRefusal {
  if (upgrade === null || !options.includes('upgrade')) return null;
  if (minorVersion === 0) return refuse('Upgrade in HTTP/1.0');
  const protocols = splitList(upgrade);
  const isValid = protocols.length > 0 && protocols.every((protocol) => PROTOCOL.test(protocol));
  return isValid ? protocols : refuse('malformed Upgrade header');
}

function judgeExpect({ expect }: Deciding, minorVersion: 0 | 1): boolean | HttpRefusal {
  if (expect === null || minorVersion === 0) return false;
  const expectations = splitList(expect);
  if (expectations.every((expectation) => expectation === '100-continue')) return true;
  return { status: 417, reason: 'unknown expectation' };
}

function refuse(reason: string): HttpRefusal {
  return { status: 400, reason };
}
