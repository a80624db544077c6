import { type ServerResponse, STATUS_CODES } from 'node:http';
import { REFUSALS, type Refusal, type RefusalCode } from '../../ipc/refusals.js';
import type { HttpRefusal } from '../field-section.js';

const SHORTEST_RETRY_MS = 1_000;

/** The refusal's row for what the framing guard refused. */
export function codeOfFraming({ status }: HttpRefusal): RefusalCode {
  if (status === 408) return 'request-timeout';
  return status === 431 ? 'headers-too-large' : 'bad-request';
}

/** Answers a refused request with its status and its sentence. */
export function answerRefusal(response: ServerResponse, refusal: Refusal, closes: boolean): void {
  const { status, sentence } = REFUSALS[refusal.code];
  answer(response, status, sentence, closes, retryAfter(refusal, status));
}

/** Answers what the framing guard refused within a request, and closes. */
export function answerFramingRefusal(response: ServerResponse, refusal: HttpRefusal): void {
  answer(response, refusal.status, sentenceOf(refusal), true, []);
}

/** The same as bytes, for refusals between two requests. */
export function framingRefusalBytes(refusal: HttpRefusal): Buffer {
  const body = `${sentenceOf(refusal)}\n`;
  return Buffer.from(
    [
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `Date: ${new Date().toUTCString()}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

/** Sends the client to the same place on https (RFC 9110 15.4.9: the method stays). */
export function answerRedirect(response: ServerResponse, location: string, closes: boolean): void {
  answer(response, 308, `This is at ${location}`, closes, ['Location', location]);
}

function answer(
  response: ServerResponse,
  status: number,
  sentence: string,
  closes: boolean,
  headers: readonly string[],
): void {
  const body = `${sentence}\n`;
  if (closes) response.shouldKeepAlive = false;
  response.writeHead(status, STATUS_CODES[status], [
    'Content-Type',
    'text/plain; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(body)),
    ...headers,
  ]);
  response.end(body);
}

/** Whole seconds (RFC 9110 10.2.3). */
function retryAfter({ retryAfterMs }: Refusal, status: number): string[] {
  if (retryAfterMs === null && status !== 503) return [];
  const ms = Math.max(SHORTEST_RETRY_MS, retryAfterMs ?? SHORTEST_RETRY_MS);
  return ['Retry-After', String(Math.ceil(ms / 1_000))];
}

function sentenceOf(refusal: HttpRefusal): string {
  const { status, sentence } = REFUSALS[codeOfFraming(refusal)];
  return status === refusal.status ? sentence : `${STATUS_CODES[refusal.status]}.`;
}
