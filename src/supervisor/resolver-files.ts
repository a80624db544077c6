import { copyFileSync, mkdirSync, renameSync, rmSync, unwatchFile, watchFile } from 'node:fs';
import { basename, join } from 'node:path';

/** What getaddrinfo(3) reads: nsswitch.conf(5), hosts(5), resolv.conf(5), host.conf(5), gai.conf(5). */
const RESOLVER_FILES = [
  ...['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf', '/etc/host.conf', '/etc/gai.conf'],
];
const CHECK_MS = 5000;

export interface ResolverFilesSettings {
  /** Where the copies are; made, and removed in the end. */
  readonly directory: string;
  readonly files?: readonly string[];
  /** How often the files are looked at. */
  readonly checkMs?: number;
}

/**
 * Copies of the files that say how this host resolves names, kept up to date, for a VPS that sees
 * nothing else of /etc. A mount of the files themselves would stay with what they were: they are
 * replaced, not written to.
 */
export class ResolverFiles {
  readonly directory: string;
  readonly #files: readonly string[];
  readonly #checkMs: number;
  #isOpen = false;

  constructor({ directory, files = RESOLVER_FILES, checkMs = CHECK_MS }: ResolverFilesSettings) {
    this.directory = directory;
    this.#files = files;
    this.#checkMs = checkMs;
  }

  /** Idempotent. Throws where the directory can't be made. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    mkdirSync(this.directory, { recursive: true, mode: 0o755 });
    for (const file of this.#files) {
      this.#copy(file);
      watchFile(file, { interval: this.#checkMs, persistent: false }, this.#copyOf(file));
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const file of this.#files) unwatchFile(file, this.#copyOf(file));
    rmSync(this.directory, { recursive: true, force: true });
  }

  readonly #listeners = new Map<string, () => void>();

  #copyOf(file: string): () => void {
    const known = this.#listeners.get(file) ?? (() => this.#copy(file));
    this.#listeners.set(file, known);
    return known;
  }

  /** In one step: who reads meanwhile reads the old one or the new one whole. */
  #copy(file: string): void {
    const copy = join(this.directory, basename(file));
    try {
      copyFileSync(file, `${copy}.new`);
      renameSync(`${copy}.new`, copy);
    } catch {
      // There is none, or none for the moment.
      rmSync(copy, { force: true });
    }
  }
}

/** Their names, as they stand in /etc. */
export const RESOLVER_FILE_NAMES = RESOLVER_FILES.map((file) => basename(file));
