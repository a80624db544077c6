import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** A reader that takes nothing for this long is given up: what it doesn't read is held for it. */
const STALLED_MS = 30_000;
const ENDED = { done: true, value: undefined } as const;

/**
 * Answers with one line for each value of `source`, as they come, until it ends or `signal` is
 * aborted. The head is sent at once: who has it misses nothing that happens from then on.
 */
export async function sendLines(
  response: ServerResponse,
  source: AsyncIterable<string>,
  contentType: string,
  signal: AbortSignal,
): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  const aborted = new Promise<typeof ENDED>((resolve) => {
    signal.addEventListener('abort', () => resolve(ENDED), { once: true });
  });
  try {
    let next = iterator.next();
    response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' });
    response.flushHeaders();
    for (;;) {
      const result = await Promise.race([next, aborted]);
      if (result.done || signal.aborted) break;
      await writeLine(response, result.value, signal);
      next = iterator.next();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    // Not awaited: a source that ignores the signal must not keep the answer open.
    iterator.return?.().catch(() => {});
  }
  response.end();
}

async function writeLine(
  response: ServerResponse,
  line: string,
  signal: AbortSignal,
): Promise<void> {
  if (response.write(line.endsWith('\n') ? line : `${line}\n`)) return;
  await once(response, 'drain', {
    signal: AbortSignal.any([signal, AbortSignal.timeout(STALLED_MS)]),
  });
}
