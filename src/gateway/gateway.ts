import { RouseError } from '../base/errors.js';
import { collectGarbage, growYoungGeneration } from '../base/heap.js';
import type { Logger } from '../base/log.js';
import { Channel } from '../ipc/channel.js';
import {
  decodeGatewayConfig,
  type GatewayConfig,
  type GatewayListener,
} from '../ipc/gateway-config.js';
import type {
  ListenerCounters,
  ServiceCounters,
  ToGateway,
  ToSupervisor,
} from '../ipc/messages.js';
import { PROTOCOL_VERSION } from '../ipc/protocol-version.js';
import { Refusal } from '../ipc/refusals.js';
import { closeFd, readMemfd } from '../sys/descriptors.js';
import type { WatchFd } from '../sys/poller.js';
import type { Engine, EngineHost, ListeningSocket } from './engine.js';
import { GatewayHost } from './gateway-host.js';
import { serveMetrics } from './metrics-server.js';
import { SupervisorLink } from './supervisor-link.js';

const CONFIG_LIMIT_BYTES = 512 * 1024 * 1024;
const METRICS_LIMIT_BYTES = 64 * 1024 * 1024;
const REPORT_EVERY_MS = 1000;
/** From here on what a configuration took to read is worth collecting at once. */
const MANY_SERVICES = 500;
/** With the longest names and every refusal a row has 1 KiB, and a packet holds 64. */
const REPORT_ROWS = 32;

export interface GatewaySettings {
  readonly log: Logger;
  /** How this thread waits for descriptors. */
  readonly watch: WatchFd;
  readonly createEngine: (host: EngineHost) => Engine;
  /** The supervisor is gone, or broke the rules. */
  readonly onEnd: (failure: RouseError | null) => void;
}

/** One thread of the unprivileged process: takes its share of the config and its sockets from the supervisor, and serves. */
export class Gateway {
  readonly #channel: Channel<ToGateway, ToSupervisor>;
  readonly #link: SupervisorLink;
  readonly #reported = new Map<string, string>();
  readonly #arriving = new Map<string, ListeningSocket[]>();
  readonly #listening = new Set<string>();
  /** Without its services: the host has what it needs of these. */
  #config: Omit<GatewayConfig, 'services'> | null = null;
  #host: GatewayHost | null = null;
  #engine: Engine | null = null;
  #readyGeneration = -1;

  constructor(
    controlFd: number,
    private readonly settings: GatewaySettings,
  ) {
    this.#channel = new Channel<ToGateway, ToSupervisor>(
      controlFd,
      {
        parse: (value) => value as ToGateway,
        onMessage: (message, fds) => this.#onMessage(message, fds),
        onEnd: settings.onEnd,
      },
      settings.watch,
    );
    this.#link = new SupervisorLink((message, fds = []) => this.#channel.send(message, fds));
    this.#channel.send({ type: 'hello', version: PROTOCOL_VERSION });
    setInterval(() => this.#report(null), REPORT_EVERY_MS).unref();
  }

  #onMessage(message: ToGateway, fds: number[]): void {
    switch (message.type) {
      case 'configure':
        this.#configure(fds[0] as number);
        break;
      case 'listen':
        this.#listen(message, fds);
        break;
      case 'unlisten':
        this.#listening.delete(message.listener);
        this.#engine?.unlisten(message.listener);
        break;
      case 'granted':
        this.#host?.granted(
          message.service,
          message.instance,
          message.plans,
          firstConnection(message, fds),
        );
        break;
      case 'refused':
        this.#host?.refused(
          message.service,
          new Refusal(message.code, message.retryAfterMs, message.detail),
        );
        break;
      case 'listen-metrics':
        serveMetrics(fds[0] as number, () => this.#collectMetrics());
        break;
      case 'metrics':
      case 'sockets':
      case 'dialed':
      case 'handed':
        if (!this.#link.settle(message, fds)) for (const fd of fds) closeFd(fd);
        break;
      case 'gone':
        this.#host?.gone(message.service, message.instance);
        break;
      case 'yield':
        this.#host?.yieldLease(message.service);
        break;
      case 'report':
        this.#report(message.id);
        break;
      case 'drain':
        this.#drain(message);
        break;
      case 'beat':
        this.#channel.send({ type: 'beat' });
        break;
    }
  }

  #configure(fd: number): void {
    growYoungGeneration(false);
    const config = decodeGatewayConfig(readMemfd(fd, CONFIG_LIMIT_BYTES));
    const { services, ...others } = config;
    this.#config = others;
    this.settings.log.level = config.log.level;
    if (this.#host) this.#host.update(config);
    else this.#host = new GatewayHost(config, this.#link, this.settings.log);
    this.#engine ??= this.settings.createEngine(this.#host);
    this.#host.engine = this.#engine;
    this.#engine.update(config);
    growYoungGeneration(true);
    if (services.length >= MANY_SERVICES) collectGarbage();
    this.#announceReady();
  }

  #listen(
    { listener, addresses, last }: Extract<ToGateway, { type: 'listen' }>,
    fds: number[],
  ): void {
    if (fds.length !== addresses.length) {
      for (const fd of fds) closeFd(fd);
      throw new RouseError('system', `listener ${listener}: no descriptors left for its sockets`);
    }
    const sockets = this.#arriving.get(listener) ?? [];
    sockets.push(...fds.map((fd, index) => ({ fd, address: addresses[index] ?? '' })));
    this.#arriving.set(listener, sockets);
    if (!last) return;
    this.#arriving.delete(listener);
    const settings = this.#settingsOf(listener);
    if (!settings || !this.#engine) {
      for (const { fd } of sockets) closeFd(fd);
      return;
    }
    this.#listening.add(listener);
    this.#engine.listen(settings, sockets);
    this.#announceReady();
  }

  #settingsOf(name: string): GatewayListener | null {
    return this.#config?.listeners.find((listener) => listener.name === name) ?? null;
  }

  /** `reach` listeners come and go with their VPSs; all others make a generation complete. */
  #announceReady(): void {
    const config = this.#config;
    if (!config || config.generation === this.#readyGeneration) return;
    const isComplete = config.listeners.every(
      ({ name, fixedService }) => fixedService !== null || this.#listening.has(name),
    );
    if (!isComplete) return;
    this.#readyGeneration = config.generation;
    this.#channel.send({ type: 'ready', generation: config.generation });
  }

  /** Counters that changed since the last report, in packets of a bounded size. */
  #report(id: number | null): void {
    const services = (this.#host?.takeServiceCounters() ?? []).filter((row) =>
      this.#isNews(`service ${row.name}`, row),
    );
    const listeners = (this.#host?.listenerCounters() ?? []).filter((row) =>
      this.#isNews(`listener ${row.name}`, row),
    );
    if (id === null && services.length + listeners.length === 0) return;
    do {
      const serviceRows: ServiceCounters[] = services.splice(0, REPORT_ROWS);
      const listenerRows: ListenerCounters[] = listeners.splice(0, REPORT_ROWS);
      const more = services.length + listeners.length > 0;
      this.#channel.send({
        type: 'report',
        id,
        services: serviceRows,
        listeners: listenerRows,
        more,
      });
    } while (services.length + listeners.length > 0);
  }

  #isNews(key: string, row: ServiceCounters | ListenerCounters): boolean {
    const text = JSON.stringify(row);
    if (this.#reported.get(key) === text) return false;
    this.#reported.set(key, text);
    return true;
  }

  async #collectMetrics(): Promise<string> {
    const fd = await this.#link.metrics();
    if (fd === null) throw new Error('the supervisor has no metrics');
    return readMemfd(fd, METRICS_LIMIT_BYTES);
  }

  #drain({ keepsReach, keepsIdle }: Extract<ToGateway, { type: 'drain' }>): void {
    this.#host?.startDraining(keepsReach);
    const drained = () => {
      this.#report(null);
      this.#channel.send({ type: 'drained' });
    };
    if (this.#engine) void this.#engine.drain(keepsReach, keepsIdle).then(drained);
    else drained();
  }
}

function firstConnection(
  { connected }: { connected: string | null },
  fds: readonly number[],
): { fd: number; upstream: string } | null {
  const [fd] = fds;
  return fd === undefined || connected === null ? null : { fd, upstream: connected };
}
