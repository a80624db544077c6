import { ERROR_TABLE, type ErrorCode, messageOf, RouseError } from '../base/errors.js';
import { Refusal } from '../ipc/refusals.js';

/** What the admin socket answers with for each row of the table of errors (RFC 9110 section 15). */
const STATUS_OF_ERROR = {
  usage: 400,
  config: 422,
  bind: 500,
  isolation: 500,
  running: 409,
  'not-running': 503,
  'unknown-service': 404,
  busy: 409,
  start: 503,
  upgrade: 503,
  system: 500,
  protocol: 500,
} as const satisfies Record<ErrorCode, number>;

/** The body of every answer that isn't 2xx. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface HttpError {
  readonly status: number;
  readonly body: ErrorBody;
}

/** Anything thrown as an answer; what wasn't thrown on purpose is `system`. */
export function toHttpError(thrown: unknown): HttpError {
  const message = messageOf(thrown);
  if (thrown instanceof RouseError) {
    return { status: STATUS_OF_ERROR[thrown.code], body: { code: thrown.code, message } };
  }
  if (thrown instanceof Refusal) {
    return { status: STATUS_OF_ERROR.start, body: { code: 'start', message } };
  }
  return { status: STATUS_OF_ERROR.system, body: { code: 'system', message } };
}

/** The error that an answer tells of; `fallback` where its body isn't one of ours. */
export function fromErrorBody(text: string, fallback: string): RouseError {
  try {
    const body: unknown = JSON.parse(text);
    if (isErrorBody(body)) return new RouseError(body.code, body.message);
  } catch {
    // Not JSON: whatever listens there isn't rouse, or another version of it.
  }
  return new RouseError('system', fallback);
}

function isErrorBody(value: unknown): value is ErrorBody {
  if (typeof value !== 'object' || value === null) return false;
  const { code, message } = value as Partial<Record<keyof ErrorBody, unknown>>;
  return (
    typeof code === 'string' && Object.hasOwn(ERROR_TABLE, code) && typeof message === 'string'
  );
}
