import { EventEmitter } from 'node:events';
import { AdminClient } from '../admin/client.js';
import { RouseError } from '../base/errors.js';
import type {
  Explanation,
  ListenerStatus,
  ReloadReport,
  ServiceStatus,
  StateEvent,
  Status,
} from '../ipc/admin-api.js';
import { adminSocketPath } from './directories.js';
import { LibraryChild } from './library-child.js';
import { type LibraryPlace, makePlace } from './library-place.js';

export type {
  ExitStatus,
  Explanation,
  Failure,
  GatewayStatus,
  ListenerStatus,
  ReloadReport,
  ServiceState,
  ServiceStatus,
  StateEvent,
  Status,
} from '../ipc/admin-api.js';
export { RouseError };

export interface RouseOptions {
  /** Default: a temporary one, gone after `close`. */
  readonly runtimeDir?: string;
  /** Default: a temporary one, gone after `close`. */
  readonly stateDir?: string;
  /** Default: what the configuration says. */
  readonly logLevel?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Added to the environment of the supervisor; services don't see it. */
  readonly env?: Readonly<Record<string, string>>;
  /** Gets every line of the supervisor's log (JSON, one object a line). */
  readonly onLog?: (line: string) => void;
}

interface RouseEvents {
  /** A service changed its state. */
  state: [event: StateEvent];
  /** The supervisor ended without being asked to. */
  exit: [error: RouseError];
}

/**
 * Starts a rouse as a child process. Resolves when every listener takes connections.
 *
 * @param config A file, or the configuration as an object; its relative paths count from the
 *   current directory.
 * @throws RouseError with all that the child printed when it doesn't start
 * @example
 * await using rouse = await createRouse({
 *   listeners: { web: { address: '127.0.0.1:0', protocol: 'http' } },
 *   services: { app: { routes: [{ listener: 'web' }], run: { command: ['app'] }, upstream: 'tcp:80' } },
 * });
 * const [address] = await rouse.addresses('web');
 */
export async function createRouse(
  config: string | object,
  options: RouseOptions = {},
): Promise<Rouse> {
  const place = await makePlace(config, options);
  const child = new LibraryChild(place, options);
  try {
    await child.started;
    return await Rouse.attach(child, place);
  } catch (error) {
    await child.stop(1000);
    await place.remove();
    throw error;
  }
}

/** A running rouse. Closing it ends the supervisor and everything that it started. */
export class Rouse extends EventEmitter<RouseEvents> implements AsyncDisposable {
  readonly #child: LibraryChild;
  readonly #place: LibraryPlace;
  readonly #admin: AdminClient;
  readonly #closing = new AbortController();
  #closed: Promise<void> | null = null;

  private constructor(child: LibraryChild, place: LibraryPlace) {
    super();
    this.#child = child;
    this.#place = place;
    this.#admin = new AdminClient(adminSocketPath(place.runtimeDir));
  }

  /** @internal */
  static async attach(child: LibraryChild, place: LibraryPlace): Promise<Rouse> {
    const rouse = new Rouse(child, place);
    await rouse.#forwardEvents();
    child.ended.then((error) => {
      if (!rouse.#closing.signal.aborted) rouse.emit('exit', error);
    });
    return rouse;
  }

  /** The supervisor's process. */
  get pid(): number {
    return this.#child.pid;
  }

  get runtimeDir(): string {
    return this.#place.runtimeDir;
  }

  status(): Promise<Status> {
    return this.#admin.status();
  }

  /** @throws RouseError `start` when it doesn't become ready, `unknown-service` */
  wake(service: string, { wait = true }: { wait?: boolean } = {}): Promise<ServiceStatus> {
    return this.#admin.wake(service, { wait });
  }

  /** @throws RouseError `busy` while connections are open, unless forced */
  sleep(service: string, { force = false }: { force?: boolean } = {}): Promise<ServiceStatus> {
    return this.#admin.sleep(service, { force });
  }

  freeze(service: string): Promise<ServiceStatus> {
    return this.#admin.freeze(service);
  }

  restart(service: string): Promise<ServiceStatus> {
    return this.#admin.restart(service);
  }

  /** Wakes it and keeps it awake, for `forMs` milliseconds or until `release`. */
  hold(service: string, { forMs = null }: { forMs?: number | null } = {}): Promise<ServiceStatus> {
    return this.#admin.hold(service, { forMs });
  }

  release(service: string): Promise<ServiceStatus> {
    return this.#admin.release(service);
  }

  /**
   * Changes limits at once: `{ memory: '512M', cpu: '50%', tasks: '100' }`; `none` takes one away.
   *
   * @throws RouseError `isolation` where one can't be had on this machine
   */
  set(service: string, limits: Readonly<Record<string, string>>): Promise<ServiceStatus> {
    return this.#admin.set(service, limits);
  }

  explain(service: string): Promise<Explanation> {
    return this.#admin.explain(service);
  }

  /** The last lines that a service printed; with `follow` also all that come until `signal`. */
  logs(
    service: string,
    options: { lines?: number; follow?: boolean; signal?: AbortSignal } = {},
  ): AsyncIterable<string> {
    const { lines = 100, follow = false, signal = this.#closing.signal } = options;
    return this.#admin.logs(service, { lines, follow, signal });
  }

  /**
   * Reads the configuration again, or puts another one in place of an object's.
   *
   * @throws RouseError `config` when it is wrong: the old one goes on
   */
  async reload(config?: object): Promise<ReloadReport> {
    if (config !== undefined) await this.#place.writeConfig(config);
    return this.#admin.reload();
  }

  /** Where a listener takes connections: the real ports, where the configuration says 0. */
  async addresses(listener: string): Promise<string[]> {
    const { listeners } = await this.status();
    const found = listeners.find(({ name }: ListenerStatus) => name === listener);
    if (found) return [...found.addresses];
    throw new RouseError('usage', `listener ${listener}: there is none of this name`);
  }

  /** Resolves when every process of it has ended and its temporary files are gone. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await this.#child.stop();
    await this.#place.remove();
  }

  /** Resolves once no event can be missed any more. */
  #forwardEvents(): Promise<void> {
    return new Promise((resolve, reject) => {
      const pump = async (): Promise<void> => {
        for await (const event of this.#admin.events(this.#closing.signal, resolve)) {
          this.emit('state', event);
        }
      };
      // Once resolved, a failure here changes nothing: the child's end tells what it means.
      pump().then(
        () => reject(new RouseError('not-running', 'rouse closed its stream of events')),
        reject,
      );
    });
  }
}
