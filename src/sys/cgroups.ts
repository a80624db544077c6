import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A killed process takes a moment to be gone, and its cgroup stays busy for as long. */
const REMOVE_TRIES = 50;
const REMOVE_PAUSE_MS = 10;

/**
 * The directory of the cgroup that a process is in, from its `/proc/PID/mountinfo` and
 * `/proc/PID/cgroup` (proc_pid_mountinfo(5), cgroups(7)); null: no cgroup2 is mounted that shows it.
 */
export function findCgroup(mountinfo: string, cgroup: string): string | null {
  const path = /^0::(\/.*)$/m.exec(cgroup)?.[1];
  if (path === undefined) return null;
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', mountPoint = ''] = before.split(' ').map(unescapeMount);
    if (!after.startsWith('cgroup2 ') || root.startsWith('/..')) continue;
    const inside = relative(root, path);
    if (!inside.startsWith('..')) return join(mountPoint, inside);
  }
  return null;
}

function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** One cgroup of version 2 (cgroups(7), Linux's admin-guide/cgroup-v2). */
export class Cgroup {
  constructor(readonly directory: string) {}

  /** The child of this name; made where there is none. */
  child(name: string): Cgroup {
    const directory = join(this.directory, name);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    return new Cgroup(directory);
  }

  /** The highest one that is mounted above it. */
  get root(): Cgroup {
    let { directory } = this;
    while (existsSync(join(dirname(directory), 'cgroup.procs'))) directory = dirname(directory);
    return new Cgroup(directory);
  }

  children(): Cgroup[] {
    const entries = readdirSync(this.directory, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => new Cgroup(join(this.directory, name)));
  }

  /** A file's content; null where it isn't there (no such controller) or the cgroup is gone. */
  read(file: string): string | null {
    try {
      return readFileSync(join(this.directory, file), 'utf8').trim();
    } catch {
      return null;
    }
  }

  /** Whether there is such a file: its controller is enabled, and the kernel knows it. */
  has(file: string): boolean {
    return existsSync(join(this.directory, file));
  }

  /** The number in a `key value` file such as memory.events; null where there is none. */
  readKey(file: string, key: string): number | null {
    const value = new RegExp(`^${key} (\\d+)$`, 'm').exec(this.read(file) ?? '')?.[1];
    return value === undefined ? null : Number(value);
  }

  /** Throws Node's error where the kernel refuses. */
  write(file: string, value: string): void {
    writeFileSync(join(this.directory, file), value);
  }

  /** For what the kernel takes its time for, off the main thread. */
  writeLater(file: string, value: string): Promise<void> {
    return writeFile(join(this.directory, file), value);
  }

  /** False where the kernel refuses. */
  tryWrite(file: string, value: string): boolean {
    try {
      this.write(file, value);
      return true;
    } catch {
      return false;
    }
  }

  /** Its processes, those of its children not among them. */
  processes(): number[] {
    return (this.read('cgroup.procs') ?? '').split('\n').filter(Boolean).map(Number);
  }

  get isPopulated(): boolean {
    return this.readKey('cgroup.events', 'populated') === 1;
  }

  /** Calls back whenever one of its `events` files changes; the function returned ends that. */
  watchEvents(file: 'cgroup.events' | 'memory.events', onChange: () => void): () => void {
    try {
      const watcher = watch(join(this.directory, file), { persistent: false }, onChange);
      watcher.on('error', () => watcher.close());
      return () => watcher.close();
    } catch {
      return () => {};
    }
  }

  /** Removes it with all below it; false where it still has processes after a while. */
  async remove(): Promise<boolean> {
    for (let attempt = 0; attempt < REMOVE_TRIES; attempt += 1) {
      if (removeTree(this.directory)) return true;
      await delay(REMOVE_PAUSE_MS);
    }
    return false;
  }
}

function removeTree(directory: string): boolean {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(directory, entry.name));
    }
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
