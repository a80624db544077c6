import { isMap } from './merge-defaults.js';

type Raw = Record<string, unknown>;

/** What services hardly ever have in common as a whole. */
const UNIQUE_KEYS: ReadonlySet<string> = new Set(['routes', 'run']);
/** Ten thousand services repeat a few parts; of more different ones than this it makes no sense to keep them apart. */
const MAX_PARTS = 10_000;

/**
 * Lets the services of a tree have their equal parts in common, so that each is checked and kept
 * once. Only for a tree in which nobody asks where what stands in a service stands.
 */
export function shareParts({ services }: Raw): void {
  if (!isMap(services)) return;
  const parts = new Map<string, object>();
  for (const service of Object.values(services)) {
    if (!isMap(service)) continue;
    if (isMap(service.run)) shareIn(service.run, parts);
    shareIn(service, parts);
  }
}

function shareIn(map: Raw, parts: Map<string, object>): void {
  for (const [key, part] of Object.entries(map)) {
    if (typeof part !== 'object' || part === null || UNIQUE_KEYS.has(key)) continue;
    const text = JSON.stringify(part);
    // JSON has no other word for what isn't a number.
    if (text.includes('null')) continue;
    const same = parts.get(text);
    if (same !== undefined) map[key] = same;
    else if (parts.size < MAX_PARTS) parts.set(text, part);
  }
}
