/** How long connections may take to end after Ctrl-C, in milliseconds. */
const DRAIN_ON_TERMINAL_MS = 1000;

/**
 * SIGTERM drains and stops, Ctrl-C and a closed terminal stop after a moment, a second signal stops
 * at once; SIGHUP without a terminal reloads.
 */
export class StopSignals {
  onReload: () => void = () => {};
  readonly #drainEnd = new AbortController();
  readonly #hurry = new AbortController();
  readonly #stop: Promise<number>;
  #isStopping = false;
  #isServing = false;
  readonly #handlers = new Map<NodeJS.Signals, () => void>();

  constructor() {
    const isOnTerminal = process.stdin.isTTY || process.stderr.isTTY;
    this.#stop = new Promise((resolve) => {
      const stop = (drainMs: number) => () => {
        if (this.#isStopping) this.#stopAtOnce();
        this.#isStopping = true;
        resolve(drainMs);
      };
      this.#handle('SIGTERM', stop(Number.POSITIVE_INFINITY));
      this.#handle('SIGINT', stop(DRAIN_ON_TERMINAL_MS));
      this.#handle('SIGHUP', isOnTerminal ? stop(DRAIN_ON_TERMINAL_MS) : () => this.onReload());
    });
  }

  #stopAtOnce(): void {
    // Nothing stands yet that wouldn't end with this process.
    if (!this.#isServing) process.exit(1);
    this.#drainEnd.abort();
    this.#hurry.abort();
  }

  #handle(signal: NodeJS.Signals, handler: () => void): void {
    this.#handlers.set(signal, handler);
    process.on(signal, handler);
  }

  /**
   * Resolves when it is time to stop: until when to drain (at most as long as `drainTimeoutMs` says
   * then), and when to stop waiting for services too.
   */
  async untilStop(
    drainTimeoutMs: () => number,
  ): Promise<{ drainUntil: AbortSignal; hurry: AbortSignal }> {
    this.#isServing = true;
    const drainMs = Math.min(await this.#stop, drainTimeoutMs());
    setTimeout(() => this.#drainEnd.abort(), drainMs).unref();
    return { drainUntil: this.#drainEnd.signal, hurry: this.#hurry.signal };
  }

  close(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }
}
