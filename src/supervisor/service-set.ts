import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../base/log.js';
import type { Underway } from '../base/underway.js';
import type { Config, Service } from '../config/model.js';
import type { StateEvent } from '../ipc/admin-api.js';
import type { DriverState, HolderFinder } from './driver-state.js';
import type { InstanceFactory } from './instance-factory.js';
import { JournalOutput, type JournalWriter } from './journal-output.js';
import { KEPT_COLD_STARTS, type KeptRecord, type KeptRecords } from './kept-records.js';
import { OutputLog, type OutputLogOptions, type OutputState } from './output-log.js';
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

/** The services, as an upgraded supervisor goes on with them. Times are by the wall clock. */
export interface ServiceSetState {
  readonly openedAtMs: number;
  readonly addedAtMs: ReadonlyMap<string, number>;
  /** Those that something has happened to. */
  readonly touched: readonly {
    readonly name: string;
    readonly driver: DriverState;
    readonly output: OutputState;
  }[];
}

/** How often it is looked whether processes on connections have ended, while they are waited for. */
const DRAIN_LOOK_MS = 50;

/** A service that nothing has happened to yet. */
export interface UntouchedService {
  readonly service: Service;
  readonly sinceMs: number;
}

/** The services of the config: their lives, and what they print. */
export class ServiceSet {
  readonly #drivers = new Map<string, ServiceDriver>();
  readonly #outputs = new Map<string, OutputLog>();
  readonly #stateListeners = new Set<(event: StateEvent) => void>();
  /** Those that the config has, by name. */
  #configured: ReadonlyMap<string, Service> = new Map();
  /** Since when the config has them, where that isn't the start. */
  #addedAtMs = new Map<string, number>();
  #openedAtMs = Date.now();
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
    this.#configured = byName(services);
    for (const [name, record] of this.settings.records.load()) {
      const driver = this.find(name);
      if (driver) driver.resume(record, record.isFailed);
      else this.settings.records.forget(name);
    }
  }

  state(): ServiceSetState {
    const touched = [...this.#drivers].map(([name, service]) => {
      // First the driver's: taking it reads the rest of what the service printed.
      const driver = service.takeState();
      return { name, driver, output: (this.#outputs.get(name) as OutputLog).state() };
    });
    return { openedAtMs: this.#openedAtMs, addedAtMs: this.#addedAtMs, touched };
  }

  /** Goes on with the services of an earlier self. */
  restore(
    { services }: Config,
    { addedAtMs, openedAtMs, touched }: ServiceSetState,
    finder: HolderFinder,
  ): void {
    this.#configured = byName(services);
    this.#openedAtMs = openedAtMs;
    this.#addedAtMs = new Map(addedAtMs);
    for (const { name, driver, output } of touched) {
      this.outputOf(name)?.restore(output);
      this.find(name)?.restore(driver, finder);
    }
  }

  /** What is kept of each that something has happened to. */
  *records(): Generator<readonly [string, KeptRecord]> {
    for (const [name, driver] of this.#drivers) yield [name, recordOf(driver)];
  }

  /** How many the config has. */
  get size(): number {
    return this.#configured.size;
  }

  /** Of those that something has happened to: of ten thousand services most sleep for days. */
  get drivers(): ReadonlyMap<string, ServiceDriver> {
    return this.#drivers;
  }

  /** Every service, in the order of the config; then those that it has no more and that haven't ended yet. */
  *all(): Generator<ServiceDriver | UntouchedService> {
    for (const service of this.#configured.values()) {
      const sinceMs = this.#addedAtMs.get(service.name) ?? this.#openedAtMs;
      yield this.#drivers.get(service.name) ?? { service, sinceMs };
    }
    for (const [name, driver] of this.#drivers) if (!this.#configured.has(name)) yield driver;
  }

  /** Null: there is none of this name. */
  find(name: string): ServiceDriver | null {
    const driver = this.#drivers.get(name);
    if (driver) return driver;
    const service = this.#configured.get(name);
    return service ? this.#add(service) : null;
  }

  /** As {@link find}; null also where nobody may wake it any more. */
  driverFor(name: string): ServiceDriver | null {
    return this.#ending.has(name) ? null : this.find(name);
  }

  /** What a service prints; null: there is none of this name. */
  outputOf(name: string): OutputLog | null {
    this.find(name);
    return this.#outputs.get(name) ?? null;
  }

  #add(service: Service): ServiceDriver {
    const { instances, startQueue, stateDir, log, onGone, underway } = this.settings;
    const output = new OutputLog({
      name: service.name,
      directory: join(stateDir, 'logs'),
      onError: (message) => log.error({ service: service.name }, message),
      underway,
      ...this.#alsoToJournal(service.name),
    });
    this.#outputs.set(service.name, output);
    const driver: ServiceDriver = new ServiceDriver(service, {
      ...{ instances, startQueue, output, log, underway },
      onState: (event) => {
        for (const listener of this.#stateListeners) listener(event);
      },
      onGone,
      onAsleep: (asleep) => this.#prepareSpare(asleep),
      onEvent: () => this.#note(driver),
    });
    this.#drivers.set(service.name, driver);
    return driver;
  }

  #alsoToJournal(service: string): Pick<OutputLogOptions, 'onLine'> {
    const { journal } = this.settings;
    if (journal === null) return {};
    // Of a `stdio` service any process may have printed it.
    const pid = () => {
      const instance = this.#drivers.get(service)?.instance;
      return instance && !instance.isStdio ? instance.pid : null;
    };
    const output = new JournalOutput({ service, journal, pid });
    return { onLine: (line) => output.add(line) };
  }

  #note(driver: ServiceDriver): void {
    const { records } = this.settings;
    if (records.isPossible) records.note(driver.service.name, recordOf(driver));
  }

  /** It was in use: likelier than others it will be again. */
  #prepareSpare({ name }: Service): void {
    const service = this.#configured.get(name);
    if (service && !this.#isClosing) this.settings.store.prepare(service);
  }

  /** New settings, and new services; those that the config has no more are for `retain`. */
  change({ services }: Config): void {
    const before = this.#configured;
    this.#configured = byName(services);
    for (const name of this.#configured.keys())
      if (!before.has(name)) this.#addedAtMs.set(name, Date.now());
    for (const name of before.keys()) if (!this.#configured.has(name)) this.#addedAtMs.delete(name);
    for (const [name, driver] of this.#drivers) {
      const service = this.#configured.get(name);
      if (service && driver.service !== service) driver.update(service);
    }
    this.prepareSpares();
  }

  /** VPSs for those that sleep, where there is room for all of them; else for those that were awake last. */
  prepareSpares(): void {
    this.settings.store.prepareAll(this.#configured, (name) => this.isAwake(name));
  }

  /** Stops and forgets those that the config has no more; returns their names. */
  async retain(): Promise<string[]> {
    const gone = [...this.#drivers.keys()].filter((name) => !this.#configured.has(name));
    await Promise.all(gone.map((name) => this.#remove(name)));
    return gone;
  }

  async #remove(name: string): Promise<void> {
    await this.#drivers.get(name)?.stop('taken out of the config');
    this.#drivers.delete(name);
    await this.#outputs.get(name)?.finish();
    this.#outputs.delete(name);
    this.settings.store.drop(name);
    this.settings.records.forget(name);
  }

  isAwake(name: string): boolean {
    return Boolean(this.#drivers.get(name)?.instance);
  }

  /** No spare is built any more. */
  close(): void {
    this.#isClosing = true;
  }

  /** Resolves when no process has a connection of its own (`stdio`) any more, or at the signal. */
  async drain(signal: AbortSignal): Promise<void> {
    const isBusy = ({ instance }: ServiceDriver) => (instance?.connectionProcesses ?? 0) > 0;
    while (!signal.aborted && [...this.#drivers.values()].some(isBusy)) await delay(DRAIN_LOOK_MS);
  }

  /** Of all: one that never ran may be woken by those that stop before it. */
  #stopOrder(): ReturnType<typeof stopOrder> {
    return stopOrder([...this.all()].map(({ service }) => service));
  }

  /** How long `stop` may take, in milliseconds. */
  get longestStopMs(): number {
    return longestStopMs(this.#stopOrder(), (name) => {
      const driver = this.#drivers.get(name);
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
        return this.#drivers.get(name)?.stop('rouse stops', hurry);
      });
      stopped.set(name, stop);
    }
    await Promise.all(stopped.values());
  }

  /** All that they printed is written. */
  async finish(): Promise<void> {
    await Promise.all([...this.#outputs.values()].map((output) => output.finish()));
  }
}

function byName(services: readonly Service[]): ReadonlyMap<string, Service> {
  return new Map(services.map((service) => [service.name, service]));
}

/** What it printed isn't kept: it is in its log. */
function recordOf({ state, record }: ServiceDriver): KeptRecord {
  const { failures, ...others } = record.state(KEPT_COLD_STARTS);
  const last = failures.last && { ...failures.last, output: [] };
  return { ...others, failures: { ...failures, last }, isFailed: state === 'failed' };
}
