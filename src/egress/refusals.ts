/**
 * Why a connection to the outside isn't made, one row each: the status that HTTP clients get, the
 * reply that SOCKS clients get (RFC 1928 6), and the sentence.
 */
export const EGRESS_REFUSALS = {
  malformed: { status: 400, reply: 1, sentence: 'This is no request that a proxy can read.' },
  'unsupported-command': {
    status: 405,
    reply: 7,
    sentence: 'Only connections to the outside can be made here.',
  },
  'unsupported-address': { status: 400, reply: 8, sentence: 'This is no kind of address.' },
  'head-too-large': { status: 431, reply: 1, sentence: 'The head of the request is too large.' },
  'not-allowed': { status: 403, reply: 2, sentence: 'No egress rule of the service allows this.' },
  'forbidden-address': {
    status: 403,
    reply: 2,
    sentence: 'The egress rules allow it, but it leads to an address that is never open.',
  },
  unresolvable: { status: 502, reply: 4, sentence: 'The name has no address.' },
  unreachable: { status: 502, reply: 5, sentence: 'Nobody takes connections there.' },
  timeout: { status: 504, reply: 4, sentence: 'It did not answer in time.' },
  'too-many-connections': {
    status: 503,
    reply: 1,
    sentence: 'The service has as many connections to the outside as it may.',
  },
} as const satisfies Record<string, { status: number; reply: number; sentence: string }>;

export type EgressRefusalCode = keyof typeof EGRESS_REFUSALS;

/** Thrown where a connection isn't made. */
export class EgressRefusal extends Error {
  override readonly name = 'EgressRefusal';

  constructor(
    readonly code: EgressRefusalCode,
    /** For the log. */
    detail = '',
  ) {
    super(detail || EGRESS_REFUSALS[code].sentence);
  }
}
