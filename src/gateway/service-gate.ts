import type { ServiceTerms } from '../ipc/gateway-config.js';
import { Refusal, type RefusalCode } from '../ipc/refusals.js';
import { buildAccessList } from './access-list.js';
import { RateLimit } from './rate-limit.js';
import { SourceLimits } from './source-limits.js';

/** Sources whose verdict is remembered. */
const MAX_VERDICTS = 256;

/** Who may use a service, how many at once and how often: the limits of one service in this gateway. */
export class ServiceGate {
  #terms: ServiceTerms;
  #isAllowed: (ip: string) => boolean;
  /** Of sources that came before. */
  readonly #verdicts = new Map<string, boolean>();
  #rate: RateLimit | null;
  readonly #sources = new SourceLimits();
  #open = 0;
  #changes = 0;
  readonly refusals: Partial<Record<RefusalCode, number>> = {};

  constructor(terms: ServiceTerms, nowMs: number) {
    this.#terms = terms;
    this.#isAllowed = buildAccessList(terms.access);
    this.#rate = terms.limits.rate && new RateLimit(terms.limits.rate, nowMs);
  }

  get terms(): ServiceTerms {
    return this.#terms;
  }

  /** Admitted, and not left yet. */
  get open(): number {
    return this.#open;
  }

  /** Differs whenever a counter does. */
  get changes(): number {
    return this.#changes;
  }

  /** New settings; what was counted stays. */
  update(terms: ServiceTerms, nowMs: number): void {
    const { rate } = terms.limits;
    const isSameRate = JSON.stringify(rate) === JSON.stringify(this.#terms.limits.rate);
    this.#terms = terms;
    this.#isAllowed = buildAccessList(terms.access);
    this.#verdicts.clear();
    if (!isSameRate) this.#rate = rate && new RateLimit(rate, nowMs);
  }

  /** Lets somebody in, or throws a `Refusal`. Each success wants one `leave`. */
  enter(sourceIp: string, nowMs: number): void {
    const { limits } = this.#terms;
    if (!this.#mayEnter(sourceIp)) throw this.refuse('access-denied');
    if (this.#open >= limits.connections) throw this.refuse('connection-limit', 1000);
    if (this.#rate && !this.#rate.take(nowMs))
      throw this.refuse('rate-limit', this.#rate.retryAfterMs(nowMs));
    if (limits.perSource !== null && !this.#sources.tryOpen(sourceIp, limits.perSource)) {
      throw this.refuse('per-source-limit', 1000);
    }
    this.#open += 1;
    this.#changes += 1;
  }

  #mayEnter(sourceIp: string): boolean {
    const known = this.#verdicts.get(sourceIp);
    if (known !== undefined) return known;
    const isAllowed = this.#isAllowed(sourceIp);
    if (this.#verdicts.size >= MAX_VERDICTS) this.#verdicts.clear();
    this.#verdicts.set(sourceIp, isAllowed);
    return isAllowed;
  }

  leave(sourceIp: string): void {
    this.#open -= 1;
    this.#changes += 1;
    if (this.#terms.limits.perSource !== null) this.#sources.close(sourceIp);
  }

  /** Counts a refusal and returns it. */
  refuse(code: RefusalCode, retryAfterMs: number | null = null, detail = ''): Refusal {
    this.#changes += 1;
    this.refusals[code] = (this.refusals[code] ?? 0) + 1;
    return new Refusal(code, retryAfterMs, detail);
  }
}
