import type { Logger } from '../base/log.js';
import type { EgressRefusal } from './refusals.js';
import { formatTarget, type Target } from './target.js';

const REFUSALS_A_SECOND = 20;

/** What one service connects to, and what it is refused: of the latter so many lines a second, for it writes them. */
export class AccessLog {
  /** Whether allowed connections are logged too. */
  logsAllowed = true;
  #second = 0;
  #written = 0;
  #omitted = 0;

  constructor(
    private readonly service: string,
    private readonly log: Logger,
  ) {}

  allowed(target: Target, address: string | undefined): void {
    if (!this.logsAllowed) return;
    const name = formatTarget(target);
    const entry = { event: 'egress', service: this.service, target: name, address };
    this.log.info({ ...entry, verdict: 'allowed' }, `egress to ${name}: allowed`);
  }

  /** `target`: null where it isn't known yet. */
  denied(target: Target | null, refusal: EgressRefusal): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) [this.#second, this.#written] = [second, 0];
    this.#written += 1;
    if (this.#written > REFUSALS_A_SECOND) {
      this.#omitted += 1;
      return;
    }
    const name = target && formatTarget(target);
    const omitted = this.#omitted > 0 ? { omitted: this.#omitted } : {};
    this.#omitted = 0;
    this.log.warn(
      {
        ...{ event: 'egress', service: this.service, target: name, verdict: 'denied' },
        ...{ code: refusal.code, ...omitted },
      },
      `egress${name ? ` to ${name}` : ''}: ${refusal.code}: ${refusal.message}`,
    );
  }

  acceptsNothing(error: Error): void {
    this.log.warn({ event: 'egress', service: this.service }, `egress: ${error.message}`);
  }
}
