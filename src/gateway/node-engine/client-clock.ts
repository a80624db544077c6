import type { EngineLimits } from './limits.js';

/** What a connection is doing when its time is checked. */
export interface ClientProgress {
  readonly hasRequest: boolean;
  /** More of the request's body is to come, and there is room for it. */
  readonly isReadingBody: boolean;
}

/** How long a client may take for a head, for a body's next byte, and between requests. */
export class ClientClock {
  #progressMs = performance.now();
  #headSinceMs: number | null = null;
  #isBodyAwaited = false;

  constructor(private readonly limits: EngineLimits) {}

  /** Since the last progress, in milliseconds. */
  get waitedMs(): number {
    return performance.now() - this.#progressMs;
  }

  noteProgress(): void {
    this.#progressMs = performance.now();
  }

  /** Whether a head has begun that is not complete. */
  noteHead(isUnderWay: boolean): void {
    if (!isUnderWay) this.#headSinceMs = null;
    else this.#headSinceMs ??= performance.now();
  }

  /** From here on the bytes of the request's body must keep coming. */
  awaitBody(): void {
    this.#isBodyAwaited = true;
    this.noteProgress();
  }

  beginRequest(): void {
    this.#isBodyAwaited = false;
  }

  /** `late`: something that began doesn't go on; `idle`: nothing began for too long. */
  check(nowMs: number, { hasRequest, isReadingBody }: ClientProgress): 'late' | 'idle' | null {
    const { headMs, bodyMs, idleMs } = this.limits;
    const waitedMs = nowMs - this.#progressMs;
    if (hasRequest) {
      return this.#isBodyAwaited && isReadingBody && waitedMs > bodyMs ? 'late' : null;
    }
    if (this.#headSinceMs !== null) return nowMs - this.#headSinceMs > headMs ? 'late' : null;
    return waitedMs > idleMs ? 'idle' : null;
  }
}
