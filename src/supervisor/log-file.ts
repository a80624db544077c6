import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * A file that lines are appended to, and its predecessor: together at most twice the limit. No
 * descriptor stays open between writes, since there may be ten thousand of these.
 */
export class LogFile {
  constructor(
    private readonly path: string,
    private readonly limitBytes: number,
  ) {}

  /** Appends lines. Not to be called again before it is done. */
  async append(lines: readonly string[]): Promise<void> {
    await takeTurn(async () => {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o750 });
      let rest = lines;
      while (rest.length > 0) rest = await this.#appendSome(rest);
    });
  }

  /** Everything that is kept, the oldest line first; empty where there is nothing yet. */
  async read(): Promise<string[]> {
    const texts = await Promise.all([`${this.path}.1`, this.path].map(readIfThere));
    return texts.join('').split('\n').slice(0, -1);
  }

  /** Appends as much as has room, then makes room; returns what is left. */
  async #appendSome(lines: readonly string[]): Promise<readonly string[]> {
    const file = await open(this.path, 'a', 0o640);
    let roomBytes: number;
    let count = 0;
    try {
      const { size } = await file.stat();
      roomBytes = this.limitBytes - size;
      const parts: string[] = [];
      for (const line of lines) {
        roomBytes -= Buffer.byteLength(line) + 1;
        if (roomBytes < 0 && (size > 0 || count > 0)) break;
        parts.push(`${line}\n`);
        count += 1;
      }
      await file.appendFile(parts.join(''));
    } finally {
      await file.close();
    }
    if (count < lines.length) await rename(this.path, `${this.path}.1`);
    return lines.slice(count);
  }
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

const MAX_OPEN = 16;
const waiting: Array<() => void> = [];
let openCount = 0;

/** At most {@link MAX_OPEN} log files are open at once, however many services print. */
async function takeTurn(task: () => Promise<void>): Promise<void> {
  if (openCount >= MAX_OPEN) await new Promise<void>((resolve) => waiting.push(resolve));
  else openCount += 1;
  try {
    await task();
  } finally {
    const next = waiting.shift();
    if (next === undefined) openCount -= 1;
    else next();
  }
}
