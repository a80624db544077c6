/**
 * Why a connection or a request isn't served, one row each. HTTP clients get `status` and the
 * sentence, TCP clients a close, TLS clients an alert; the log and the metrics get the code.
 */
export const REFUSALS = {
  'bad-request': { status: 400, sentence: 'The request cannot be read in one way only.' },
  'headers-too-large': { status: 431, sentence: 'The head of the request is too large.' },
  'access-denied': { status: 403, sentence: 'Your address may not use this service.' },
  'no-route': { status: 404, sentence: 'No service answers to this name.' },
  'request-timeout': { status: 408, sentence: 'The request did not arrive in time.' },
  'per-source-limit': { status: 429, sentence: 'Too many connections from your address.' },
  'rate-limit': { status: 503, sentence: 'Too many new connections; try again shortly.' },
  'connection-limit': { status: 503, sentence: 'The service has as many connections as it may.' },
  'held-limit': {
    status: 503,
    sentence: 'Too many clients already wait for this service to start.',
  },
  'held-age': { status: 503, sentence: 'The service took too long to start.' },
  'start-failed': { status: 503, sentence: 'The service did not start.' },
  backoff: {
    status: 503,
    sentence: 'The service failed to start and will be tried again shortly.',
  },
  stopping: { status: 503, sentence: 'The service is being stopped.' },
  'gateway-draining': { status: 503, sentence: 'The gateway is shutting down.' },
  'upstream-unreachable': { status: 502, sentence: 'The service does not take connections.' },
  'upstream-failed': { status: 502, sentence: 'The service broke off before it answered.' },
  'upstream-timeout': { status: 504, sentence: 'The service did not answer in time.' },
  'out-of-descriptors': { status: 503, sentence: 'The gateway has no descriptors left.' },
} as const satisfies Record<string, { status: number; sentence: string }>;

export type RefusalCode = keyof typeof REFUSALS;

/** Thrown (or the reason of a rejection) where a demand for a service is refused. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(
    readonly code: RefusalCode,
    /** When a next try makes sense, in milliseconds; null: nobody knows. */
    readonly retryAfterMs: number | null = null,
    /** For the log, never for the client: it may quote what a service printed. */
    readonly detail: string = '',
  ) {
    super(detail || REFUSALS[code].sentence);
  }
}
