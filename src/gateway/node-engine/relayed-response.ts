import { type IncomingMessage, type InformationEvent, STATUS_CODES } from 'node:http';
import { Refusal } from '../../ipc/refusals.js';
import { flushHead } from './flush-head.js';
import { headersForClient, trailersOf } from './forwarded-headers.js';
import type { HttpExchange } from './http-exchange.js';

const STATUS_UPGRADE_REQUIRED = 426;

/** Sends an upstream's response on as it comes, trailers included. */
export function relayResponse(exchange: HttpExchange, upstream: IncomingMessage): void {
  const { response } = exchange;
  try {
    writeHead(exchange, upstream);
  } catch (error) {
    upstream.destroy();
    exchange.refuse(new Refusal('upstream-failed', null, String(error)));
    return;
  }
  // Together with the first bytes of the body where they come at once.
  setImmediate(() => {
    if (!response.writableEnded && !response.destroyed) flushHead(response);
  });
  upstream.pipe(response, { end: false });
  upstream.once('end', () => {
    if (response.chunkedEncoding) addTrailers(exchange, upstream);
    response.end();
  });
  upstream.once('error', () => exchange.breakOff());
}

function writeHead(exchange: HttpExchange, upstream: IncomingMessage): void {
  const { response, connection, head } = exchange;
  const status = upstream.statusCode ?? 0;
  const fields = headersForClient(upstream.rawHeaders, status === STATUS_UPGRADE_REQUIRED);
  const hasLength = fields.some(({ name }) => name.toLowerCase() === 'content-length');
  const hasBody = head.method !== 'HEAD' && status !== 204 && status !== 304;
  const isChunked = hasBody && !hasLength && head.minorVersion === 1;
  exchange.isDelimitedByClose = hasBody && !hasLength && head.minorVersion === 0;
  response.sendDate = false;
  if (connection.isLast) response.shouldKeepAlive = false;
  const kept = isChunked ? fields : fields.filter(({ name }) => name.toLowerCase() !== 'trailer');
  response.writeHead(
    status,
    upstream.statusMessage ?? '',
    kept.flatMap(({ name, value }) => [name, value]),
  );
}

function addTrailers({ response }: HttpExchange, upstream: IncomingMessage): void {
  try {
    response.addTrailers(trailersOf(upstream));
  } catch {
    // Not worth the answer, which is all sent.
  }
}

/** Sends a 1xx response on (RFC 9110 15.2); HTTP/1.0 has none. */
export function relayInformation(exchange: HttpExchange, information: InformationEvent): void {
  const { head, response, connection } = exchange;
  if (head.minorVersion === 0 || response.headersSent || response.destroyed) return;
  const { statusCode, statusMessage, rawHeaders } = information;
  if (statusCode === 100) {
    response.writeContinue();
    connection.awaitBody();
    return;
  }
  const lines = headersForClient(rawHeaders, false).map(({ name, value }) => `${name}: ${value}`);
  const reason = statusMessage || STATUS_CODES[statusCode] || '';
  connection.writeAside([`HTTP/1.1 ${statusCode} ${reason}`, ...lines, '', ''].join('\r\n'));
}
