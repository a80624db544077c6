import type { LoadContext } from './load-context.js';
import type { Route, Upstream } from './model.js';
import type { KeyPath } from './problem.js';
import type { RouteShape } from './schema/service.js';
import { formatUpstream } from './upstream.js';

export interface ResolvedRoutes {
  readonly routes: readonly Route[];
  readonly upstreams: readonly Upstream[];
}

/** A service's routes and all the upstreams that they lead to; reports routes that can't match. */
export function resolveRoutes(
  path: KeyPath,
  shapes: readonly RouteShape[],
  upstream: Upstream,
  context: LoadContext,
): ResolvedRoutes {
  const upstreams = shapes.some((shape) => shape.upstream)
    ? [upstream]
    : context.once(upstream, () => [upstream]);
  const routes = shapes.map((shape, index): Route => {
    checkKeys([...path, index], shape, upstream, context);
    return {
      listener: shape.listener ?? null,
      host: shape.host ?? null,
      sni: shape.sni ?? null,
      destination: shape.destination ?? null,
      upstream: shape.upstream === undefined ? 0 : indexOf(upstreams, shape.upstream),
    };
  });
  return { routes, upstreams };
}

function indexOf(upstreams: Upstream[], upstream: Upstream): number {
  const text = formatUpstream(upstream);
  const found = upstreams.findIndex((other) => formatUpstream(other) === text);
  return found === -1 ? upstreams.push(upstream) - 1 : found;
}

function checkKeys(path: KeyPath, shape: RouteShape, own: Upstream, context: LoadContext): void {
  const { listener, host, sni, destination, upstream } = shape;
  if (host !== undefined && sni !== undefined) {
    const message = 'host is for http and https, sni for tls: write two routes';
    context.problem([...path, 'sni'], message, { at: 'key', related: [...path, 'host'] });
  }
  if ((listener ?? host ?? sni ?? destination) === undefined) {
    context.problem(path, 'a route needs a listener, a host, an sni or a destination');
  }
  if (upstream === undefined || formatUpstream(upstream) === formatUpstream(own)) return;
  if (own.kind === 'stdio' || upstream.kind === 'stdio' || upstream.kind === 'socket') {
    const message = `a service with the upstream ${own.kind} cannot be reached by ${upstream.kind} too`;
    context.problem([...path, 'upstream'], message);
  }
}
