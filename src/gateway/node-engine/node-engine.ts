import type { GatewayConfig, GatewayListener } from '../../ipc/gateway-config.js';
import type { RefusalCode } from '../../ipc/refusals.js';
import { DescriptorBudget } from '../descriptor-budget.js';
import type { Engine, EngineHost, ListeningSocket } from '../engine.js';
import { Acceptor } from './acceptor.js';
import { type Connection, type EngineContext, noteRefusal } from './context.js';
import { HttpFront } from './http-front.js';
import { InstanceRegistry } from './instance-registry.js';
import { DEFAULT_LIMITS, type EngineLimits } from './limits.js';
import { ListenerSettings } from './listener-settings.js';
import { Sweeps } from './sweeps.js';
import { serveTcp } from './tcp-relay.js';
import { TlsFront } from './tls-front.js';
import { serveTls } from './tls-passthrough.js';

/** What an accepted connection is given to; a refused one with the reason. */
type Serve = (connection: Connection, refusal: RefusalCode | null) => void;

interface OpenListener {
  readonly settings: ListenerSettings;
  readonly acceptor: Acceptor;
  readonly tlsFront: TlsFront | null;
}

/** The engine on Node's own net, tls and http; options override single limits. */
export function createNodeEngine(host: EngineHost, options: Partial<EngineLimits> = {}): Engine {
  return new NodeEngine(host, { ...DEFAULT_LIMITS, ...options });
}

class NodeEngine implements Engine {
  readonly name = 'node';
  readonly #context: EngineContext;
  readonly #budget: DescriptorBudget;
  readonly #httpFront: HttpFront;
  readonly #listeners = new Map<string, OpenListener>();
  readonly #connections = new Set<Connection>();
  #onDrained: (() => void) | null = null;
  #keepsReach = false;

  constructor(host: EngineHost, limits: EngineLimits) {
    const instances = new InstanceRegistry();
    this.#context = { host, limits, sweeps: new Sweeps(), instances };
    this.#budget = new DescriptorBudget(limits.descriptorLimit);
    this.#httpFront = new HttpFront(this.#context);
  }

  listen(listener: GatewayListener, sockets: readonly ListeningSocket[]): void {
    const context = this.#context;
    const settings = new ListenerSettings(listener);
    const tlsFront = settings.protocol === 'https' ? this.#createTlsFront(settings) : null;
    const serve = this.#serverFor(settings, tlsFront);
    const track = (connection: Connection, refusal: RefusalCode | null): void => {
      this.#track(connection);
      serve(connection, refusal);
    };
    const acceptor = new Acceptor({
      context,
      budget: this.#budget,
      sockets,
      listener: settings,
      serve: (connection) => track(connection, null),
      refuse: track,
    });
    this.#listeners.set(listener.name, { settings, acceptor, tlsFront });
  }

  unlisten(listener: string): void {
    this.#listeners.get(listener)?.acceptor.close();
    this.#listeners.delete(listener);
    this.#httpFront.closeWhenIdle(listener, false);
  }

  update(config: GatewayConfig): void {
    for (const listener of config.listeners) {
      const open = this.#listeners.get(listener.name);
      open?.settings.update(listener);
      open?.tlsFront?.update();
    }
  }

  closeInstance(service: string, instance: number): void {
    this.#context.instances.closeAll(service, instance);
  }

  closePooled(service: string, instance: number): void {
    this.#httpFront.closePooled(service, instance);
  }

  drain(keepsReach: boolean, keepsIdle: boolean): Promise<void> {
    this.#keepsReach = keepsReach;
    for (const { acceptor, settings } of this.#listeners.values())
      if (!keepsReach || !settings.isReach) acceptor.close();
    this.#httpFront.closeWhenIdle(null, keepsIdle);
    const tellOthers = this.#onDrained;
    return new Promise((resolve) => {
      this.#onDrained = () => {
        tellOthers?.();
        resolve();
      };
      this.#noteDrained();
    });
  }

  #createTlsFront(listener: ListenerSettings): TlsFront {
    return new TlsFront({
      context: this.#context,
      listener,
      serve: (connection, socket, refusal) => this.#httpFront.serve(connection, socket, refusal),
    });
  }

  #serverFor({ name, protocol }: ListenerSettings, tlsFront: TlsFront | null): Serve {
    switch (protocol) {
      case 'tcp':
        return this.#unlessRefused((connection) => serveTcp(this.#context, connection));
      case 'tls':
        return this.#unlessRefused((connection) => serveTls(this.#context, connection));
      case 'http':
        return (connection, refusal) => {
          this.#httpFront.serve(connection, connection.socket, refusal);
        };
      case 'https':
        return (connection, refusal) => tlsFront?.accept(connection, refusal);
      default:
        throw new Error(`listener ${name}: the node engine takes no ${protocol}`);
    }
  }

  /** Without HTTP there is no way to say why. */
  #unlessRefused(serve: (connection: Connection) => Promise<void>): Serve {
    return (connection, refusal) => {
      if (refusal === null) serve(connection).catch(() => connection.socket.destroy());
      else refuseSilently(this.#context, connection, refusal);
    };
  }

  #track(connection: Connection): void {
    this.#connections.add(connection);
    connection.socket.once('close', () => {
      this.#connections.delete(connection);
      this.#noteDrained();
    });
  }

  #noteDrained(): void {
    for (const { listener } of this.#connections)
      if (!listener.isReach || !this.#keepsReach) return;
    this.#onDrained?.();
  }
}

function refuseSilently(context: EngineContext, connection: Connection, code: RefusalCode): void {
  noteRefusal(context, connection, code);
  connection.socket.destroy();
}
