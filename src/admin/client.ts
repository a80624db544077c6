import { type IncomingMessage, request } from 'node:http';
import { messageOf, RouseError } from '../base/errors.js';
import type {
  AdminApi,
  Explanation,
  ReloadReport,
  ServiceStatus,
  StateEvent,
  Status,
  UpgradePlan,
  UpgradeReport,
} from '../ipc/admin-api.js';
import { fromErrorBody } from './http-errors.js';

/** Calls that only look must answer soon; those that change something take as long as it takes. */
const LOOK_TIMEOUT_MS = 20_000;
const UPGRADE_TIMEOUT_MS = 120_000;

type Method = 'GET' | 'POST';

/**
 * An {@link AdminApi} over the admin socket.
 *
 * Every call throws RouseError: `not-running` when nothing answers there, else what the supervisor
 * says.
 */
export class AdminClient implements AdminApi {
  constructor(readonly socketPath: string) {}

  status(): Promise<Status> {
    return this.#call('GET', '/v1/status');
  }

  wake(service: string, options: { wait: boolean }): Promise<ServiceStatus> {
    return this.#call('POST', `${pathOf(service)}/wake?wait=${options.wait}`);
  }

  sleep(service: string, options: { force: boolean }): Promise<ServiceStatus> {
    return this.#call('POST', `${pathOf(service)}/sleep?force=${options.force}`);
  }

  freeze(service: string): Promise<ServiceStatus> {
    return this.#call('POST', `${pathOf(service)}/freeze`);
  }

  restart(service: string): Promise<ServiceStatus> {
    return this.#call('POST', `${pathOf(service)}/restart`);
  }

  hold(service: string, { forMs }: { forMs: number | null }): Promise<ServiceStatus> {
    return this.#call('POST', `${pathOf(service)}/hold${forMs === null ? '' : `?ms=${forMs}`}`);
  }

  release(service: string): Promise<ServiceStatus> {
    return this.#call('POST', `${pathOf(service)}/release`);
  }

  set(service: string, limits: Readonly<Record<string, string>>): Promise<ServiceStatus> {
    return this.#call('POST', `${pathOf(service)}/set?${new URLSearchParams(limits)}`);
  }

  explain(service: string): Promise<Explanation> {
    return this.#call('GET', `${pathOf(service)}/explain`);
  }

  /** Resolves when all is done; a reload that comes to an upgrade, too. */
  async reload(): Promise<ReloadReport> {
    const answer = await this.#call<ReloadReport | UpgradePlan>('POST', '/v1/reload');
    return 'generation' in answer ? answer : (await this.upgraded()).reload;
  }

  upgrade(): Promise<UpgradePlan> {
    return this.#call('POST', '/v1/upgrade');
  }

  upgraded(): Promise<UpgradeReport> {
    return this.#call('GET', '/v1/upgraded', UPGRADE_TIMEOUT_MS);
  }

  /** Lines without their line end. Ends when `signal` is aborted. */
  logs(
    service: string,
    options: { lines: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<string> {
    const { lines, follow, signal } = options;
    return this.#lines(`${pathOf(service)}/logs?lines=${lines}&follow=${follow}`, signal);
  }

  /** `onOpen` is called when nothing that happens from then on will be missed. */
  async *events(signal: AbortSignal, onOpen: () => void = () => {}): AsyncGenerator<StateEvent> {
    for await (const line of this.#lines('/v1/events', signal, onOpen)) yield JSON.parse(line);
  }

  async #call<T>(method: Method, target: string, timeoutMs = LOOK_TIMEOUT_MS): Promise<T> {
    const signal = method === 'GET' ? AbortSignal.timeout(timeoutMs) : null;
    const response = await this.#open(method, target, signal);
    const text = await readText(response, this.socketPath);
    return JSON.parse(text) as T;
  }

  async *#lines(
    target: string,
    signal: AbortSignal,
    onOpen: () => void = () => {},
  ): AsyncGenerator<string> {
    try {
      const response = await this.#open('GET', target, signal);
      onOpen();
      yield* splitLines(response, this.socketPath);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** The answer once its head is there and says 200. */
  #open(method: Method, target: string, signal: AbortSignal | null): Promise<IncomingMessage> {
    const { socketPath } = this;
    return new Promise((resolve, reject) => {
      const call = request({
        socketPath,
        method,
        path: target,
        agent: false,
        headers: { host: 'rouse' },
        ...(signal && { signal }),
      });
      call.once('error', (error) => reject(explainFailure(socketPath, error, signal)));
      call.once('response', (response) => {
        if (response.statusCode === 200) return resolve(response);
        readText(response, socketPath).then(
          (text) => reject(fromErrorBody(text, `${socketPath}: answer ${response.statusCode}`)),
          reject,
        );
      });
      call.end();
    });
  }
}

function pathOf(service: string): string {
  return `/v1/services/${encodeURIComponent(service)}`;
}

async function* splitLines(response: IncomingMessage, socketPath: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of response) {
      const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    throw brokenOff(socketPath, error);
  }
  if (rest) yield rest;
}

async function readText(response: IncomingMessage, socketPath: string): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (error) {
    throw brokenOff(socketPath, error);
  }
  return Buffer.concat(chunks).toString();
}

function brokenOff(socketPath: string, error: unknown): RouseError {
  return new RouseError(
    'not-running',
    `the rouse on ${socketPath} broke off its answer: ${messageOf(error)}; look at its log`,
    { cause: error },
  );
}

const WORDS_OF_CODE: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ECONNREFUSED: 'connection refused',
  ENOTSOCK: 'not a socket',
};

function explainFailure(
  socketPath: string,
  error: NodeJS.ErrnoException,
  signal: AbortSignal | null,
): Error {
  const { code = '' } = error;
  if (code === 'EACCES' || code === 'EPERM') {
    const advice = 'run as the user that rouse runs as, or join the group of admin.group';
    return new RouseError('system', `${socketPath}: permission denied; ${advice}`, {
      cause: error,
    });
  }
  if (signal?.aborted && signal.reason?.name === 'TimeoutError') {
    const message = `the rouse on ${socketPath} did not answer in ${LOOK_TIMEOUT_MS / 1000} s; look at its log`;
    return new RouseError('not-running', message, { cause: error });
  }
  const reason = WORDS_OF_CODE[code] ?? messageOf(error);
  return new RouseError(
    'not-running',
    `nothing answers on ${socketPath}: ${reason}; start it with rouse serve`,
    { cause: error },
  );
}
