import { splitList } from './list-value.js';
import type { HeaderField } from './request-head.js';

/** RFC 9110 7.6.1, and what older clients send. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The headers without those that are for this connection only: `Connection`, all that it names, and
 * the fixed list. Of `TE` only `trailers` stays, with `keepUpgrade` also `Upgrade`; they come with a
 * `Connection` that names them. `Transfer-Encoding` is for whoever sends the body to set again.
 */
export function removeHopByHop(
  headers: readonly HeaderField[],
  { keepUpgrade }: { readonly keepUpgrade: boolean },
): HeaderField[] {
  const nominated = nominatedNames(headers);
  const kept = headers.filter(({ name }) => {
    const lower = name.toLowerCase();
    if (lower === 'upgrade') return keepUpgrade;
    return !HOP_BY_HOP.has(lower) && !nominated.has(lower);
  });
  const options = keepUpgrade ? ['Upgrade'] : [];
  if (headers.some(wantsTrailers)) {
    kept.push({ name: 'TE', value: 'trailers' });
    options.push('TE');
  }
  if (options.length > 0) kept.push({ name: 'Connection', value: options.join(', ') });
  return kept;
}

function nominatedNames(headers: readonly HeaderField[]): Set<string> {
  const nominated = new Set<string>();
  for (const { name, value } of headers) {
    if (name.toLowerCase() !== 'connection') continue;
    for (const option of splitList(value)) nominated.add(option);
  }
  return nominated;
}

function wantsTrailers({ name, value }: HeaderField): boolean {
  if (name.toLowerCase() !== 'te') return false;
  return splitList(value).includes('trailers');
}
