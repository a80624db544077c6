/** How long connections may take to end after SIGTERM, and after Ctrl-C, in milliseconds. */
const DRAIN_MS = 30_000;
const DRAIN_ON_TERMINAL_MS = 1000;

/**
 * SIGTERM drains and stops, Ctrl-C and a closed terminal stop after a moment, a second signal stops
 * at once; SIGHUP without a terminal reloads.
 */
export class StopSignals {
  onReload: () => void = () => {};
  readonly #drainEnd = new AbortController();
  readonly #stop: Promise<number>;
  #isStopping = false;
  readonly #handlers = new Map<NodeJS.Signals, () => void>();

  constructor() {
    const isOnTerminal = process.stdin.isTTY || process.stderr.isTTY;
    this.#stop = new Promise((resolve) => {
      const stop = (drainMs: number) => () => {
        if (this.#isStopping) this.#drainEnd.abort();
        this.#isStopping = true;
        resolve(drainMs);
      };
      this.#handle('SIGTERM', stop(DRAIN_MS));
      this.#handle('SIGINT', stop(DRAIN_ON_TERMINAL_MS));
      this.#handle('SIGHUP', isOnTerminal ? stop(DRAIN_ON_TERMINAL_MS) : () => this.onReload());
    });
  }

  #handle(signal: NodeJS.Signals, handler: () => void): void {
    this.#handlers.set(signal, handler);
    process.on(signal, handler);
  }

  /** Resolves when it is time to stop, with the signal at which draining is over. */
  async untilStop(): Promise<AbortSignal> {
    const drainMs = await this.#stop;
    setTimeout(() => this.#drainEnd.abort(), drainMs).unref();
    return this.#drainEnd.signal;
  }

  close(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }
}
