import { copyFields, DROP, KEEP } from './copy-fields.js';
import { output } from './peer.js';
import { KEEP_TRAILER, KEEP_UPGRADE } from './response-head.js';
import type { ResponseScanner } from './response-scanner.js';

const STATUS_LINE_FROM = 'HTTP/1.1'.length;
const WITHOUT_REASON = 'HTTP/1.1 200'.length;
const STATUS_UPGRADE_REQUIRED = 426;

export interface ResponsePlan {
  readonly isChunked: boolean;
  /** What `Connection` says to the client. */
  readonly connection: 'close' | 'keep-alive' | null;
}

/**
 * Writes a response's head for the client into `output`, and returns its length. `interpretResponse`
 * has marked the fields; the head lies in `bytes` from `base` to `end`.
 */
export function writeResponseHead(
  bytes: Buffer,
  base: number,
  end: number,
  scanner: ResponseScanner,
  { isChunked, connection }: ResponsePlan,
): number {
  const { fields, marks, status, lineEnd } = scanner;
  const to = output.bytes;
  const keepsUpgrade = status === STATUS_UPGRADE_REQUIRED;
  const hasUpgrade = settleMarks(marks, fields.offsetCount, isChunked, keepsUpgrade);
  let at = to.write('HTTP/1.1', 0, 'latin1');
  at += bytes.copy(to, at, base + STATUS_LINE_FROM, base + lineEnd);
  at += to.write(lineEnd === WITHOUT_REASON ? ' \r\n' : '\r\n', at, 'latin1');
  const { offsets, offsetCount } = fields;
  at = copyFields({ bytes, base, end, offsets, offsetCount, marks }, to, at);
  return at + to.write(lastLines(isChunked, connection, hasUpgrade), at, 'latin1');
}

/** Whether an Upgrade is kept, which `Connection` is to name. */
function settleMarks(
  marks: Uint8Array,
  offsetCount: number,
  isChunked: boolean,
  keepsUpgrade: boolean,
): boolean {
  let hasUpgrade = false;
  for (let index = 0; index < offsetCount >> 2; index += 1) {
    const mark = marks[index];
    if (mark === KEEP_TRAILER) marks[index] = isChunked ? KEEP : DROP;
    if (mark !== KEEP_UPGRADE) continue;
    marks[index] = keepsUpgrade ? KEEP : DROP;
    hasUpgrade ||= keepsUpgrade;
  }
  return hasUpgrade;
}

function lastLines(
  isChunked: boolean,
  connection: 'close' | 'keep-alive' | null,
  hasUpgrade: boolean,
): string {
  if (!isChunked && connection === null && !hasUpgrade) return '\r\n';
  const options = [...(hasUpgrade ? ['Upgrade'] : []), ...(connection ? [connection] : [])];
  const coding = isChunked ? 'Transfer-Encoding: chunked\r\n' : '';
  return `${coding}${options.length > 0 ? `Connection: ${options.join(', ')}\r\n` : ''}\r\n`;
}

/** The head as it came, but in our version of HTTP: for a 101. */
export function copyResponseHead(bytes: Buffer, base: number, end: number): Buffer {
  return Buffer.concat([Buffer.from('HTTP/1.1'), bytes.subarray(base + STATUS_LINE_FROM, end)]);
}
