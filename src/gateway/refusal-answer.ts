import { STATUS_CODES } from 'node:http';
import { REFUSALS, type Refusal, type RefusalCode } from '../ipc/refusals.js';
import type { HttpRefusal } from './field-section.js';

const SHORTEST_RETRY_MS = 1_000;

/** An answer that the gateway itself gives: a sentence as plain text. */
export interface OwnAnswer {
  readonly status: number;
  readonly sentence: string;
  /** Names and values, in turn. */
  readonly headers: readonly string[];
}

/** The refusal's row for what the framing guard refused. */
export function codeOfFraming({ status }: HttpRefusal): RefusalCode {
  if (status === 408) return 'request-timeout';
  return status === 431 ? 'headers-too-large' : 'bad-request';
}

/** What a refused client is told. */
export function answerToRefusal(refusal: Refusal): OwnAnswer {
  const { status, sentence } = REFUSALS[refusal.code];
  return { status, sentence, headers: retryAfter(refusal, status) };
}

/** What a client is told whose bytes the framing guard refused. */
export function answerToFraming(refusal: HttpRefusal): OwnAnswer {
  const { status, sentence } = REFUSALS[codeOfFraming(refusal)];
  const isRow = status === refusal.status;
  return {
    status: refusal.status,
    sentence: isRow ? sentence : `${STATUS_CODES[refusal.status]}.`,
    headers: [],
  };
}

/** Sends the client to the same place on https (RFC 9110 15.4.9: the method stays). */
export function redirectTo(location: string): OwnAnswer {
  return { status: 308, sentence: `This is at ${location}`, headers: ['Location', location] };
}

/**
 * Where https has what was asked for: on the default port, since nobody here knows on which one it is
 * offered outside.
 */
export function httpsLocation(host: string, path: string): string {
  const authority = host.includes(':') ? `[${host}]` : host;
  return `https://${authority}${path === '*' ? '/' : path}`;
}

/** The answer's bytes; `connection` is what its `Connection` header says. */
export function ownAnswerBytes(
  { status, sentence, headers }: OwnAnswer,
  connection: 'close' | 'keep-alive' | null,
  hasBody = true,
): Buffer {
  const body = `${sentence}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  for (let index = 0; index < headers.length; index += 2) {
    lines.push(`${headers[index]}: ${headers[index + 1]}`);
  }
  lines.push(`Date: ${new Date().toUTCString()}`);
  if (connection !== null) lines.push(`Connection: ${connection}`);
  lines.push('', hasBody ? body : '');
  return Buffer.from(lines.join('\r\n'));
}

/** Whole seconds (RFC 9110 10.2.3). */
function retryAfter({ retryAfterMs }: Refusal, status: number): string[] {
  if (retryAfterMs === null && status !== 503) return [];
  const ms = Math.max(SHORTEST_RETRY_MS, retryAfterMs ?? SHORTEST_RETRY_MS);
  return ['Retry-After', String(Math.ceil(ms / 1_000))];
}
