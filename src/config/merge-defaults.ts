import type { Marks } from './source.js';

type Raw = Record<string, unknown>;

/**
 * A service with what `defaults` says where it says nothing itself: maps merge key by key at every
 * depth, everything else is replaced. `idle.freeze` and `idle.stop` go together, since one without
 * the other has a meaning of its own.
 */
export function mergeDefaults(defaults: unknown, own: unknown, marks: Marks): unknown {
  if (!isMap(defaults) || !isMap(own)) return own;
  const merged = merge(defaults, own, marks);
  if (isMap(defaults.idle) && isMap(own.idle) && isMap(merged.idle)) {
    if ('freeze' in own.idle || 'stop' in own.idle) {
      for (const stage of ['freeze', 'stop']) {
        if (!(stage in own.idle)) delete merged.idle[stage];
      }
    }
  }
  return merged;
}

function merge(defaults: Raw, own: Raw, marks: Marks): Raw {
  const merged: Raw = {};
  for (const name of new Set([...Object.keys(defaults), ...Object.keys(own)])) {
    const isOwn = Object.hasOwn(own, name);
    const value = isOwn ? own[name] : defaults[name];
    const below = isOwn && Object.hasOwn(defaults, name) ? defaults[name] : null;
    marks.copy(isOwn ? own : defaults, merged, name);
    merged[name] = isMap(below) && isMap(value) ? merge(below, value, marks) : value;
  }
  return merged;
}

export function isMap(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
