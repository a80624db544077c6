import { checkUnixPath, formatHostPort, formatListenAddress } from './address.js';
import type { LoadContext } from './load-context.js';
import type { Access, Certificate, ListenAddress, Listener } from './model.js';
import type { KeyPath } from './problem.js';
import type { ListenerShape } from './schema/listener.js';
import { ValueError } from './value-error.js';

/** Fills in a listener and reports what in it doesn't go together. */
export function resolveListener(
  name: string,
  shape: ListenerShape,
  trustedProxies: readonly string[],
  context: LoadContext,
): Listener {
  const path = ['listeners', name];
  checkProtocolKeys(path, shape, context);
  return {
    name,
    addresses: resolveAddresses([...path, 'address'], shape.address, context),
    protocol: shape.protocol,
    certificates: resolveCertificates([...path, 'certificates'], shape, context),
    redirect: shape.redirect ?? null,
    access: resolveAccess(shape.access),
    trustedProxies: shape.trusted_proxies ?? trustedProxies,
    backlog: shape.backlog,
  };
}

export function resolveAccess(access: ListenerShape['access']): Access {
  return { allow: access?.allow ?? null, deny: access?.deny ?? [] };
}

function checkProtocolKeys(path: KeyPath, shape: ListenerShape, context: LoadContext): void {
  const { protocol, certificates, redirect } = shape;
  if (protocol === 'https' && (certificates ?? []).length === 0) {
    context.problem([...path, 'certificates'], 'an https listener needs a certificate', {
      at: 'key',
    });
  }
  if (protocol !== 'https' && certificates !== undefined) {
    const hint = protocol === 'tls' ? '; a tls listener passes connections through unopened' : '';
    const message = `certificates are for https listeners, not for ${protocol}${hint}`;
    context.problem([...path, 'certificates'], message, { at: 'key' });
  }
  if (protocol !== 'http' && redirect !== undefined) {
    const message = `redirect is for http listeners, not for ${protocol}`;
    context.problem([...path, 'redirect'], message, { at: 'key' });
  }
}

function resolveAddresses(
  path: KeyPath,
  addresses: readonly ListenAddress[] | readonly (readonly ListenAddress[])[],
  context: LoadContext,
): ListenAddress[] {
  return addresses.flatMap((entry, index) => {
    const isList = Array.isArray(entry);
    const parsed: readonly ListenAddress[] = isList ? entry : [entry as ListenAddress];
    const itemPath = isList ? [...path, index] : path;
    return parsed.map((address) => resolveUnixPath(itemPath, address, context));
  });
}

export function resolveUnixPath(
  path: KeyPath,
  address: ListenAddress,
  context: LoadContext,
): ListenAddress {
  if (address.kind !== 'unix') return address;
  const absolute = context.absolute(path, address.path);
  try {
    return { kind: 'unix', path: checkUnixPath(absolute) };
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    context.problem(path, error.message);
    return address;
  }
}

function resolveCertificates(
  path: KeyPath,
  shape: ListenerShape,
  context: LoadContext,
): Certificate[] {
  return (shape.certificates ?? []).map(({ cert, key }, index) => ({
    cert: context.absolute([...path, index, 'cert'], cert),
    key: context.absolute([...path, index, 'key'], key),
  }));
}

interface Bound {
  readonly address: ListenAddress;
  readonly path: KeyPath;
}

/** Reports addresses that two listeners, or a listener and the metrics, would both bind. */
export function checkAddressConflicts(
  listeners: Iterable<Listener>,
  metrics: ListenAddress | null,
  context: LoadContext,
): void {
  const bound: Bound[] = [];
  for (const { name, addresses } of listeners) {
    for (const address of addresses) bound.push({ address, path: ['listeners', name, 'address'] });
  }
  if (metrics !== null) bound.push({ address: metrics, path: ['metrics', 'address'] });
  const taken = new Map<string, Bound>();
  for (const one of bound) {
    if (isAnyPort(one.address)) continue;
    const text = formatListenAddress(one.address);
    const other = taken.get(text);
    if (other === undefined) taken.set(text, one);
    else report(one, other, context);
  }
  for (const one of bound) checkWildcard(one, taken, context);
}

/** The kernel gives a port's wildcard and one of its addresses to one socket only, bind(2). */
function checkWildcard(one: Bound, taken: ReadonlyMap<string, Bound>, context: LoadContext): void {
  if (one.address.kind !== 'ip' || isAnyPort(one.address)) return;
  const wildcard = one.address.family === 4 ? '0.0.0.0' : '::';
  if (one.address.host === wildcard) return;
  const other = taken.get(formatHostPort(wildcard, one.address.port));
  if (other !== undefined) report(one, other, context);
}

function report(one: Bound, other: Bound, context: LoadContext): void {
  const [address, taken] = [formatListenAddress(one.address), formatListenAddress(other.address)];
  const owner = other.path[0] === 'metrics' ? 'metrics' : `listener ${other.path[1]}`;
  const what = address === taken ? address : `${address} is part of ${taken}, which`;
  const message = `${what} is taken by ${owner}`;
  context.problem(one.path, message, { related: other.path });
}

function isAnyPort(address: ListenAddress): boolean {
  return address.kind === 'ip' && address.port === 0;
}
