import type { LoadContext } from './load-context.js';
import type { GatewaySettings } from './model.js';
import { DEFAULT_ENGINE, type GatewayShape } from './schema/config.js';
import { didYouMean } from './suggest.js';

/**
 * The gateways, each with its listeners; reports listeners that are in two or in none. `declared`
 * null: there is `main`, with all of them.
 */
export function resolveGateways(
  declared: ReadonlyMap<string, GatewayShape> | null,
  listenerNames: ReadonlySet<string>,
  context: LoadContext,
): GatewaySettings[] {
  const allListeners = [...listenerNames];
  if (declared === null) {
    return [
      { name: 'main', listeners: allListeners, engine: DEFAULT_ENGINE, threads: 1, cpus: [] },
    ];
  }
  const owners = claimListeners(declared, listenerNames, context);
  const rest = allListeners.filter((name) => !owners.has(name));
  const open = [...declared]
    .filter(([, { listeners }]) => listeners === undefined)
    .map(([name]) => name);
  if (open.length > 1) {
    const message = `only one gateway may leave out its listeners; ${open[0]} does too`;
    context.problem(['gateways', open[1] ?? ''], message, {
      at: 'key',
      related: ['gateways', open[0] ?? ''],
    });
  }
  if (open.length === 0) {
    for (const name of rest)
      context.problem(['listeners', name], 'no gateway has this listener', { at: 'key' });
  }
  return [...declared].map(([name, shape]) => {
    const { engine, threads, cpus } = shape;
    return { name, listeners: shape.listeners ?? rest, engine, threads, cpus };
  });
}

function claimListeners(
  declared: ReadonlyMap<string, GatewayShape>,
  listenerNames: ReadonlySet<string>,
  context: LoadContext,
): Map<string, (string | number)[]> {
  const owners = new Map<string, (string | number)[]>();
  for (const [gateway, { listeners = [] }] of declared) {
    for (const [index, name] of listeners.entries()) {
      const path = ['gateways', gateway, 'listeners', index];
      const other = owners.get(name);
      if (!listenerNames.has(name)) {
        context.problem(path, `there is no listener "${name}"${didYouMean(name, listenerNames)}`);
      } else if (other !== undefined) {
        context.problem(path, `gateway ${other[1]} has this listener already`, { related: other });
      } else owners.set(name, path);
    }
  }
  return owners;
}
