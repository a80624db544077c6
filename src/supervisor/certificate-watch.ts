import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config/model.js';

/** A renewal writes certificate and key one after the other: both are read when it has been quiet that long. */
const SETTLE_MS = 300;

/** Tells when files of certificates change. It watches their folders: renewals replace files and links. */
export class CertificateWatch {
  #watchers = new Map<string, FSWatcher>();
  #timer: NodeJS.Timeout | null = null;

  constructor(private readonly onChange: () => void) {}

  /** Watches what this config names, and nothing else any more. */
  watch(config: Config): void {
    const files = config.listeners.flatMap(({ certificates }) =>
      certificates.flatMap(({ cert, key }) => [cert, key]),
    );
    const folders = new Set(files.map(dirname));
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) if (!this.#watchers.has(folder)) this.#open(folder);
  }

  #open(folder: string): void {
    const watcher = watch(folder, { persistent: false }, () => this.#schedule());
    watcher.on('error', () => {});
    this.#watchers.set(folder, watcher);
  }

  #schedule(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(this.onChange, SETTLE_MS);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }
}
