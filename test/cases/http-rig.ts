import { type EngineFactory, type ListenerSpec, Rig, type RigSpec } from './engine-rig.js';

/** One service for `a.example` and one for `b.example`, on the listener `web`. */
export function createHttpRig(
  createEngine: EngineFactory,
  [a, b = a]: readonly [number, number?],
  { listener = {}, ...spec }: Partial<RigSpec> & { readonly listener?: Partial<ListenerSpec> } = {},
): Rig {
  return new Rig(createEngine, {
    listeners: [{ name: 'web', protocol: 'http', ...listener }],
    services: [
      { name: 'a', routes: [{ host: 'a.example' }], target: a },
      { name: 'b', routes: [{ host: 'b.example' }], target: b },
    ],
    ...spec,
  });
}
