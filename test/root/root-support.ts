import { existsSync } from 'node:fs';
import {
  createRouse,
  type Rouse,
  type RouseOptions,
  type ServiceStatus,
  type StateEvent,
} from 'rouse';
import { FIXTURES } from '../support/fixture.js';
import { waitFor } from '../support/wait-for.js';

/** Why what needs isolation can't be tested here; null: it can. */
export const whyNoIsolation: string | null =
  process.getuid?.() !== 0
    ? 'it takes root to give services identities of their own'
    : existsSync('/usr/bin/bwrap')
      ? null
      : 'the package bubblewrap is not installed';

/** The test's title, with the reason where it is skipped. */
export function titled(name: string): string {
  return whyNoIsolation === null ? name : `${name} (skipped: ${whyNoIsolation})`;
}

type Settings = Readonly<Record<string, unknown>>;

/** A service that runs a fixture; `settings` are merged over it. */
export function serviceOf(
  command: readonly (string | number)[],
  settings: Settings = {},
): Settings {
  const { run, ...others } = settings;
  const [program = '', ...args] = command.map(String);
  return {
    upstream: 'tcp:3000',
    ...others,
    run: { command: [`./${program}`, ...args], directory: FIXTURES, ...(run as Settings) },
  };
}

/** The HTTP server of the fixtures on port 3000, reached by everything on `listener`. */
export function helloService(listener: string, settings: Settings = {}): Settings {
  return serviceOf(['http-hello.js', 3000], { routes: [{ listener }], ...settings });
}

/** Listeners on free ports of 127.0.0.1, by protocol. */
export function listenersOf(protocols: Readonly<Record<string, string>>): Settings {
  return Object.fromEntries(
    Object.entries(protocols).map(([name, protocol]) => [
      name,
      { address: '127.0.0.1:0', protocol },
    ]),
  );
}

/** A rouse of the test: with all that it logged and every change of state so far. */
export class RunningRouse implements AsyncDisposable {
  readonly events: StateEvent[] = [];

  private constructor(
    readonly rouse: Rouse,
    readonly log: string[],
  ) {
    rouse.on('state', (event) => this.events.push(event));
  }

  static async start(config: object, options: RouseOptions = {}): Promise<RunningRouse> {
    const log: string[] = [];
    const wanted = { enforce: 'required', ...config };
    const rouse = await createRouse(wanted, { onLog: (line) => log.push(line), ...options });
    return new RunningRouse(rouse, log);
  }

  /** The port of a listener's first address. */
  async port(listener: string): Promise<number> {
    const [address = ''] = await this.rouse.addresses(listener);
    return Number(address.slice(address.lastIndexOf(':') + 1));
  }

  async service(name: string): Promise<ServiceStatus> {
    const { services } = await this.rouse.status();
    const found = services.find((service) => service.name === name);
    if (!found) throw new Error(`no service ${name}`);
    return found;
  }

  /** Resolves when the service has gone into `state` at least `times` times. */
  untilState(service: string, state: StateEvent['to'], times = 1): Promise<boolean> {
    return waitFor(() => this.changes(service, state).length >= times, {
      what: `${service} to be ${state} (${times} times); it was ${this.#history(service)}`,
    });
  }

  #history(name: string): string {
    const own = this.events.filter(({ service }) => service === name);
    return own.map(({ to, reason }) => `${to} (${reason})`).join(', ');
  }

  /** When and why the service went into `state`. */
  changes(service: string, state: StateEvent['to']): StateEvent[] {
    return this.events.filter((event) => event.service === service && event.to === state);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.rouse.close();
  }
}
