import { copyFileSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

/** What getaddrinfo(3) reads: nsswitch.conf(5), hosts(5), resolv.conf(5), host.conf(5), gai.conf(5). */
const RESOLVER_FILES = [
  ...['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf', '/etc/host.conf', '/etc/gai.conf'],
];
/** Their names, as they stand in /etc. */
export const RESOLVER_FILE_NAMES = RESOLVER_FILES.map((file) => basename(file));

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
  /** By file: what it was when it was copied. */
  readonly #versions = new Map<string, string | null>();
  #timer: NodeJS.Timeout | null = null;

  constructor({ directory, files = RESOLVER_FILES, checkMs = CHECK_MS }: ResolverFilesSettings) {
    this.directory = directory;
    this.#files = files;
    this.#checkMs = checkMs;
  }

  /** Idempotent. Throws where the directory can't be made. */
  open(): void {
    if (this.#timer) return;
    mkdirSync(this.directory, { recursive: true, mode: 0o755 });
    this.#refresh();
    this.#timer = setInterval(() => this.#refresh(), this.#checkMs);
    this.#timer.unref();
  }

  close(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#versions.clear();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #refresh(): void {
    for (const file of this.#files) {
      const version = versionOf(file);
      if (this.#versions.get(file) === version) continue;
      this.#versions.set(file, version);
      this.#copy(file);
    }
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

function versionOf(file: string): string | null {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stat ? `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs}` : null;
}
