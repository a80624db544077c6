/** The address of a `Demand`'s `source`, `ip:port` or `[ip6]:port`; `unix:` stays. */
export function sourceAddress(source: string): string {
  if (source.startsWith('[')) return source.slice(1, source.indexOf(']'));
  const colon = source.lastIndexOf(':');
  return source.startsWith('unix:') || colon < 0 ? source : source.slice(0, colon);
}
