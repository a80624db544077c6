import { once } from 'node:events';
import { RouseError } from '../../src/base/errors.js';
import type {
  AdminApi,
  Explanation,
  ReloadReport,
  ServiceStatus,
  StateEvent,
  Status,
  UpgradePlan,
  UpgradeReport,
} from '../../src/ipc/admin-api.js';
import { sampleExplanation, sampleStatus } from './sample-status.js';

/** An admin API without a supervisor behind it: three services and a record of what was asked. */
export class MemoryAdminApi implements AdminApi {
  readonly calls: string[] = [];
  readonly #feed = new EventTarget();
  #pending: StateEvent[] = [];
  /** Streams that are open now. */
  openStreams = 0;

  async status(): Promise<Status> {
    return sampleStatus();
  }

  async wake(service: string, { wait }: { wait: boolean }): Promise<ServiceStatus> {
    this.calls.push(`wake ${service} wait=${wait}`);
    if (service === 'mail') throw new RouseError('start', 'mail: exit code 1 before it was ready');
    return this.#find(service);
  }

  async sleep(service: string, { force }: { force: boolean }): Promise<ServiceStatus> {
    this.calls.push(`sleep ${service} force=${force}`);
    if (service === 'blog' && !force) throw new RouseError('busy', 'blog: 2 connections are open');
    return this.#find(service);
  }

  async freeze(service: string): Promise<ServiceStatus> {
    this.calls.push(`freeze ${service}`);
    return this.#find(service);
  }

  async restart(service: string): Promise<ServiceStatus> {
    this.calls.push(`restart ${service}`);
    return this.#find(service);
  }

  async hold(service: string, { forMs }: { forMs: number | null }): Promise<ServiceStatus> {
    this.calls.push(`hold ${service} for=${forMs}`);
    return this.#find(service);
  }

  async release(service: string): Promise<ServiceStatus> {
    this.calls.push(`release ${service}`);
    return this.#find(service);
  }

  async set(service: string, limits: Readonly<Record<string, string>>): Promise<ServiceStatus> {
    this.calls.push(`set ${service} ${JSON.stringify(limits)}`);
    return this.#find(service);
  }

  async explain(service: string): Promise<Explanation> {
    this.#find(service);
    return sampleExplanation();
  }

  async *logs(
    service: string,
    { lines, follow, signal }: { lines: number; follow: boolean; signal: AbortSignal },
  ): AsyncGenerator<string> {
    this.#find(service);
    yield* ['first', 'sécond', 'third'].slice(-lines);
    if (!follow) return;
    for await (const event of this.events(signal)) yield event.reason;
  }

  async upgrade(): Promise<UpgradePlan> {
    this.calls.push('upgrade');
    return { from: '1.0.0', to: '1.1.0' };
  }

  async upgraded(): Promise<UpgradeReport> {
    return { from: '1.0.0', to: '1.1.0', tookMs: 1200, reload: await this.reload() };
  }

  async reload(): Promise<ReloadReport> {
    this.calls.push('reload');
    return { generation: 2, added: ['new'], removed: [], changed: ['blog'], deferred: ['blog'] };
  }

  emit(event: StateEvent): void {
    this.#pending.push(event);
    this.#feed.dispatchEvent(new Event('event'));
  }

  async *events(signal: AbortSignal): AsyncGenerator<StateEvent> {
    this.openStreams += 1;
    try {
      for (;;) {
        while (this.#pending.length === 0) await once(this.#feed, 'event', { signal });
        yield* this.#pending.splice(0);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.openStreams -= 1;
    }
  }

  #find(name: string): ServiceStatus {
    const service = sampleStatus().services.find((candidate) => candidate.name === name);
    if (!service) {
      throw new RouseError('unknown-service', `${name}: no service of this name is configured`);
    }
    return service;
  }
}
