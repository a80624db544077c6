import { RouseError } from '../base/errors.js';
import type { AdminApi } from '../ipc/admin-api.js';

/** What a request asks for. */
export type AdminCall =
  /** Answered with the JSON of what `run` resolves to. */
  | {
      readonly kind: 'json';
      readonly action: string;
      readonly service: string | null;
      readonly changes: boolean;
      run(api: AdminApi): Promise<unknown>;
    }
  /** Answered with one line for each value, as they come. */
  | {
      readonly kind: 'stream';
      readonly contentType: string;
      readonly service: string | null;
      open(api: AdminApi, signal: AbortSignal): AsyncIterable<string>;
    }
  | { readonly kind: 'metrics' };

export type RouteResult =
  | { readonly call: AdminCall }
  | { readonly notFound: string }
  | { readonly allow: string };

type Method = 'GET' | 'POST';
type CallFactory = (service: string, query: URLSearchParams) => AdminCall;

/** `rouse logs` without `--lines`. */
const DEFAULT_LOG_LINES = 100;
const MAX_LOG_LINES = 100_000;

/** Path → method and call; `NAME` stands for a service. */
const ROUTES: Readonly<Record<string, readonly [Method, CallFactory]>> = {
  '/metrics': ['GET', () => ({ kind: 'metrics' })],
  '/v1/status': ['GET', () => read('status', null, (api) => api.status())],
  '/v1/events': [
    'GET',
    () => ({
      kind: 'stream',
      contentType: 'application/x-ndjson',
      service: null,
      open: (api, signal) => mapLines(api.events(signal), JSON.stringify),
    }),
  ],
  '/v1/reload': ['POST', () => change('reload', null, (api) => api.reload())],
  '/v1/upgrade': ['POST', () => change('upgrade', null, (api) => api.upgrade())],
  '/v1/upgraded': ['GET', () => read('upgraded', null, (api) => api.upgraded())],
  '/v1/services/NAME/explain': ['GET', (name) => read('explain', name, (api) => api.explain(name))],
  '/v1/services/NAME/logs': ['GET', logsCall],
  '/v1/services/NAME/wake': [
    'POST',
    (name, query) => {
      const wait = readFlag(query, 'wait', true);
      return change('wake', name, (api) => api.wake(name, { wait }));
    },
  ],
  '/v1/services/NAME/sleep': [
    'POST',
    (name, query) => {
      const force = readFlag(query, 'force', false);
      return change('sleep', name, (api) => api.sleep(name, { force }));
    },
  ],
  '/v1/services/NAME/freeze': ['POST', (name) => change('freeze', name, (api) => api.freeze(name))],
  '/v1/services/NAME/hold': [
    'POST',
    (name, query) => {
      const forMs = readDuration(query, 'ms');
      return change('hold', name, (api) => api.hold(name, { forMs }));
    },
  ],
  '/v1/services/NAME/release': [
    'POST',
    (name) => change('release', name, (api) => api.release(name)),
  ],
  '/v1/services/NAME/set': [
    'POST',
    (name, query) => change('set', name, (api) => api.set(name, Object.fromEntries(query))),
  ],
  '/v1/services/NAME/restart': [
    'POST',
    (name) => change('restart', name, (api) => api.restart(name)),
  ],
};

/**
 * Finds what a request line asks for.
 *
 * @throws RouseError `usage` for a target or a query that can't be read
 */
export function routeRequest(method: string, target: string): RouteResult {
  const [path = '', queryText = ''] = splitOnce(target, '?');
  const { pattern, service } = generalise(path);
  const route = Object.hasOwn(ROUTES, pattern) ? ROUTES[pattern] : undefined;
  if (!route) return { notFound: path };
  const [allowed, createCall] = route;
  if (method !== allowed) return { allow: allowed };
  return { call: createCall(service, new URLSearchParams(queryText)) };
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function generalise(path: string): { pattern: string; service: string } {
  const match = /^\/v1\/services\/([^/]+)(\/[a-z]+)$/.exec(path);
  if (!match?.[1] || !match[2]) return { pattern: path, service: '' };
  return { pattern: `/v1/services/NAME${match[2]}`, service: decodeName(match[1]) };
}

function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new RouseError('usage', `path: ${encoded} is not percent-encoded UTF-8`);
  }
}

function read(
  action: string,
  service: string | null,
  run: (api: AdminApi) => Promise<unknown>,
): AdminCall {
  return { kind: 'json', action, service, changes: false, run };
}

function change(
  action: string,
  service: string | null,
  run: (api: AdminApi) => Promise<unknown>,
): AdminCall {
  return { kind: 'json', action, service, changes: true, run };
}

function logsCall(service: string, query: URLSearchParams): AdminCall {
  const lines = readLines(query);
  const follow = readFlag(query, 'follow', false);
  return {
    kind: 'stream',
    contentType: 'text/plain; charset=utf-8',
    service,
    open: (api, signal) => api.logs(service, { lines, follow, signal }),
  };
}

function readLines(query: URLSearchParams): number {
  const text = query.get('lines');
  if (text === null) return DEFAULT_LOG_LINES;
  const lines = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(lines <= MAX_LOG_LINES)) {
    throw new RouseError('usage', `lines: ${text} is not a number from 0 to ${MAX_LOG_LINES}`);
  }
  return lines;
}

function readDuration(query: URLSearchParams, name: string): number | null {
  const text = query.get(name);
  if (text === null) return null;
  if (/^[1-9]\d{0,12}$/.test(text)) return Number(text);
  throw new RouseError('usage', `${name}: ${text} is not a number of milliseconds`);
}

function readFlag(query: URLSearchParams, name: string, missing: boolean): boolean {
  const text = query.get(name);
  if (text === null) return missing;
  if (text === '' || text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw new RouseError('usage', `${name}: ${text} is neither true nor false`);
}

async function* mapLines<T>(
  source: AsyncIterable<T>,
  format: (value: T) => string,
): AsyncGenerator<string> {
  for await (const value of source) yield format(value);
}
