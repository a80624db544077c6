import { setTimeout as delay } from 'node:timers/promises';
import { makeBulkBytes } from '../fixtures/bulk-bytes.js';

const MEBIBYTE = 2 ** 20;
/** A reader stops that often, for that long: a relay that reads on meanwhile would show it. */
const PAUSES = 4;
const PAUSE_MS = 400;

/** Reads with pauses; resolves when `mebibytes` MiB came that are byte for byte what the fixture sends. */
export async function expectBulkBytes(
  source: AsyncIterable<Buffer>,
  mebibytes: number,
): Promise<void> {
  const expected = makeBulkBytes(mebibytes);
  let block = Buffer.alloc(0);
  let bytes = 0;
  const pauseEveryBytes = (mebibytes * MEBIBYTE) / (PAUSES + 1);
  let pauseAtBytes = pauseEveryBytes;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      if (block.length === 0) block = expected.next().value ?? Buffer.alloc(0);
      const length = Math.min(block.length, chunk.length - at);
      if (length === 0) throw new Error(`more came than the ${bytes + at} bytes that were sent`);
      if (chunk.compare(block, 0, length, at, at + length) !== 0) {
        throw new Error(`other bytes than those that were sent, near offset ${bytes + at}`);
      }
      block = block.subarray(length);
      at += length;
    }
    bytes += chunk.length;
    if (bytes >= pauseAtBytes) {
      pauseAtBytes += pauseEveryBytes;
      await delay(PAUSE_MS);
    }
  }
  if (bytes !== mebibytes * MEBIBYTE) throw new Error(`the end came after ${bytes} bytes`);
}
