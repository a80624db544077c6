import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../base/log.js';
import type { Underway } from '../base/underway.js';
import type { Config, Service } from '../config/model.js';
import type { StateEvent } from '../ipc/admin-api.js';
import type { InstanceFactory } from './instance-factory.js';
import { JournalOutput, type JournalWriter } from './journal-output.js';
import { KEPT_COLD_STARTS, type KeptRecords } from './kept-records.js';
import { OutputLog, type OutputLogOptions } from './output-log.js';
import { ServiceDriver } from './service-driver.js';
import type { StartQueue } from './start-queue.js';
import { longestStopMs, stopOrder } from './stop-order.js';
import type { VpsStore } from './vps-store.js';

export interface ServiceSetSettings {
  readonly stateDir: string;
  readonly instances: InstanceFactory;
  readonly underway: Underway;
  readonly store: VpsStore;
  readonly startQueue: StartQueue;
  /** What is remembered of services beyond this process. */
  readonly records: KeptRecords;
  /** See `DriverSettings`. */
  readonly onGone: (service: string, instance: number) => void;
  readonly journal: JournalWriter | null;
  readonly log: Logger;
}

/** How often it is looked whether processes on connections have ended, while they are waited for. */
const DRAIN_LOOK_MS = 50;

/** The services of the config: their lives, and what they print. */
export class ServiceSet {
  readonly drivers = new Map<string, ServiceDriver>();
  readonly outputs = new Map<string, OutputLog>();
  readonly #stateListeners = new Set<(event: StateEvent) => void>();
  /** Names that the config has: a spare is built for no others. */
  #configured: ReadonlySet<string> = new Set();
  #isClosing = false;
  /** Those that are stopped for good. */
  readonly #ending = new Set<string>();

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
    for (const [name, record] of this.settings.records.load()) {
      const driver = this.drivers.get(name);
      if (driver) driver.resume(record, record.isFailed);
      else this.settings.records.forget(name);
    }
  }

  #add(service: Service): void {
    const { instances, startQueue, stateDir, log, onGone, underway } = this.settings;
    const output = new OutputLog({
      name: service.name,
      directory: join(stateDir, 'logs'),
      onError: (message) => log.error({ service: service.name }, message),
      underway,
      ...this.#alsoToJournal(service.name),
    });
    this.outputs.set(service.name, output);
    const driver: ServiceDriver = new ServiceDriver(service, {
      ...{ instances, startQueue, output, log, underway },
      onState: (event) => {
        for (const listener of this.#stateListeners) listener(event);
      },
      onGone,
      onAsleep: (asleep) => this.#prepareSpare(asleep),
      onEvent: () => this.#note(driver),
    });
    this.drivers.set(service.name, driver);
  }

  #alsoToJournal(service: string): Pick<OutputLogOptions, 'onLine'> {
    const { journal } = this.settings;
    if (journal === null) return {};
    // Of a `stdio` service any process may have printed it.
    const pid = () => {
      const instance = this.drivers.get(service)?.instance;
      return instance && !instance.isStdio ? instance.pid : null;
    };
    const output = new JournalOutput({ service, journal, pid });
    return { onLine: (line) => output.add(line) };
  }

  /** What it printed isn't kept: it is in its log. */
  #note({ service, state, record }: ServiceDriver): void {
    const { records } = this.settings;
    if (!records.isPossible) return;
    const { failures, ...others } = record.state(KEPT_COLD_STARTS);
    const last = failures.last && { ...failures.last, output: [] };
    const isFailed = state === 'failed';
    records.note(service.name, { ...others, failures: { ...failures, last }, isFailed });
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
    this.settings.records.forget(name);
  }

  isAwake(name: string): boolean {
    return Boolean(this.drivers.get(name)?.instance);
  }

  /** Null: there is none, or nobody may wake it any more. */
  driverFor(name: string): ServiceDriver | null {
    return this.#ending.has(name) ? null : (this.drivers.get(name) ?? null);
  }

  /** No spare is built any more. */
  close(): void {
    this.#isClosing = true;
  }

  /** Resolves when no process has a connection of its own (`stdio`) any more, or at the signal. */
  async drain(signal: AbortSignal): Promise<void> {
    const isBusy = ({ instance }: ServiceDriver) => (instance?.connectionProcesses ?? 0) > 0;
    while (!signal.aborted && [...this.drivers.values()].some(isBusy)) await delay(DRAIN_LOOK_MS);
  }

  #stopOrder(): ReturnType<typeof stopOrder> {
    return stopOrder([...this.drivers.values()].map(({ service }) => service));
  }

  /** How long `stop` may take, in milliseconds. */
  get longestStopMs(): number {
    return longestStopMs(this.#stopOrder(), (name) => {
      const driver = this.drivers.get(name);
      return driver?.instance?.service.stopTimeoutMs ?? 0;
    });
  }

  /** Stops all for good, those that reach others before these; from `hurry` on by force. */
  async stop(hurry: AbortSignal): Promise<void> {
    const stopped = new Map<string, Promise<void>>();
    for (const { name, after } of this.#stopOrder()) {
      const users = Promise.all(after.map((user) => stopped.get(user)));
      const stop = users.then(() => {
        this.#ending.add(name);
        return this.drivers.get(name)?.stop('rouse stops', hurry);
      });
      stopped.set(name, stop);
    }
    await Promise.all(stopped.values());
  }

  /** All that they printed is written. */
  async finish(): Promise<void> {
    await Promise.all([...this.outputs.values()].map((output) => output.finish()));
  }
}
