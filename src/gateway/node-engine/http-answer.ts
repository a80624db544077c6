import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { OwnAnswer } from '../refusal-answer.js';

/** Answers in the gateway's own words; `closes`: the connection ends with it. */
export function answer(
  response: ServerResponse,
  { status, sentence, headers }: OwnAnswer,
  closes: boolean,
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
