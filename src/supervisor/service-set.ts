import { join } from 'node:path';
import type { Logger } from '../base/log.js';
import type { Config, Service } from '../config/model.js';
import type { StateEvent } from '../ipc/admin-api.js';
import type { InstanceFactory } from './instance-factory.js';
import { OutputLog } from './output-log.js';
import { ServiceDriver } from './service-driver.js';
import type { StartQueue } from './start-queue.js';
import type { VpsStore } from './vps-store.js';

export interface ServiceSetSettings {
  readonly stateDir: string;
  readonly createInstance: InstanceFactory;
  readonly store: VpsStore;
  readonly startQueue: StartQueue;
  /** See `DriverSettings`. */
  readonly onGone: (service: string, instance: number) => void;
  readonly log: Logger;
}

/** The services of the config: their lives, and what they print. */
export class ServiceSet {
  readonly drivers = new Map<string, ServiceDriver>();
  readonly outputs = new Map<string, OutputLog>();
  readonly #stateListeners = new Set<(event: StateEvent) => void>();
  /** Names that the config has: a spare is built for no others. */
  #configured: ReadonlySet<string> = new Set();
  #isClosing = false;

  constructor(private readonly settings: ServiceSetSettings) {}

  /** Every change of a service's state, until the function returned is called. */
  onState(listener: (event: StateEvent) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** All services of the first config. */
  open({ services }: Config): void {
    this.#configured = new Set(services.map(({ name }) => name));
    for (const service of services) this.#add(service);
  }

  #add(service: Service): void {
    const { createInstance, startQueue, stateDir, log, onGone } = this.settings;
    const output = new OutputLog({
      name: service.name,
      directory: join(stateDir, 'logs'),
      onError: (message) => log.error({ service: service.name }, message),
    });
    this.outputs.set(service.name, output);
    const driver = new ServiceDriver(service, {
      createInstance,
      startQueue,
      output,
      log,
      onState: (event) => {
        for (const listener of this.#stateListeners) listener(event);
      },
      onGone,
      onAsleep: (asleep) => this.#prepareSpare(asleep),
    });
    this.drivers.set(service.name, driver);
  }

  #prepareSpare(service: Service): void {
    if (!this.#isClosing && this.#configured.has(service.name))
      this.settings.store.prepare(service);
  }

  /** New settings, and new services; those that the config has no more are for `retain`. */
  change({ services }: Config): void {
    this.#configured = new Set(services.map(({ name }) => name));
    for (const service of services) {
      const driver = this.drivers.get(service.name);
      if (!driver) this.#add(service);
      else if (driver.service !== service) driver.update(service);
      if (!this.isAwake(service.name)) this.settings.store.prepare(service);
    }
  }

  /** Stops and forgets those that the config has no more; returns their names. */
  async retain(): Promise<string[]> {
    const gone = [...this.drivers.keys()].filter((name) => !this.#configured.has(name));
    await Promise.all(gone.map((name) => this.#remove(name)));
    return gone;
  }

  async #remove(name: string): Promise<void> {
    await this.drivers.get(name)?.stop('taken out of the config');
    this.drivers.delete(name);
    await this.outputs.get(name)?.finish();
    this.outputs.delete(name);
    this.settings.store.drop(name);
  }

  isAwake(name: string): boolean {
    return Boolean(this.drivers.get(name)?.instance);
  }

  /** No spare is built any more. */
  close(): void {
    this.#isClosing = true;
  }

  /** Stops all, from `hurry` on by force. */
  async stop(hurry: AbortSignal): Promise<void> {
    const drivers = [...this.drivers.values()];
    await Promise.all(drivers.map((driver) => driver.stop('rouse stops', hurry)));
  }

  /** All that they printed is written. */
  async finish(): Promise<void> {
    await Promise.all([...this.outputs.values()].map((output) => output.finish()));
  }
}
