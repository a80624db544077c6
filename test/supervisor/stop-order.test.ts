import fc from 'fast-check';
import { expect, test } from 'vitest';
import { longestStopMs, stopOrder } from '../../src/supervisor/stop-order.js';

/** Services by name, with the names of those that each reaches. */
function servicesOf(reaches: Readonly<Record<string, readonly string[]>>) {
  return Object.entries(reaches).map(([name, targets]) => ({
    name,
    reach: Object.fromEntries(targets.map((target) => [target, { host: '127.0.0.1', port: 1 }])),
  }));
}

function orderOf(reaches: Readonly<Record<string, readonly string[]>>): string[] {
  return stopOrder(servicesOf(reaches)).map(({ name }) => name);
}

test('a service stops before those that it reaches, whatever the order in the config', () => {
  expect(orderOf({ postgres: [], blog: ['postgres'] })).toEqual(['blog', 'postgres']);
  expect(orderOf({ blog: ['postgres'], postgres: [] })).toEqual(['blog', 'postgres']);
  expect(orderOf({ disk: [], postgres: ['disk'], blog: ['postgres'] })).toEqual([
    'blog',
    'postgres',
    'disk',
  ]);
});

test('services that have nothing to do with each other wait for nobody', () => {
  expect(stopOrder(servicesOf({ a: [], b: [], c: [] }))).toEqual([
    { name: 'a', after: [] },
    { name: 'b', after: [] },
    { name: 'c', after: [] },
  ]);
});

test('a service that many use waits for all of them', () => {
  const steps = stopOrder(servicesOf({ postgres: [], blog: ['postgres'], shop: ['postgres'] }));
  expect(steps.at(-1)?.name).toBe('postgres');
  expect(new Set(steps.at(-1)?.after)).toEqual(new Set(['blog', 'shop']));
});

test('circles are cut, and who stands outside of them still waits for nothing in vain', () => {
  expect(orderOf({ itself: ['itself'] })).toEqual(['itself']);
  const steps = stopOrder(servicesOf({ a: ['b', 'last'], b: ['a'], last: [], first: ['a'] }));
  const at = (name: string) => steps.findIndex((step) => step.name === name);
  expect(steps).toHaveLength(4);
  expect(at('first')).toBeLessThan(at('a'));
  expect(at('last')).toBe(3);
});

test('what reaches a service that is no more is stopped all the same', () => {
  expect(orderOf({ blog: ['gone'] })).toEqual(['blog']);
});

const graphs = fc
  .array(fc.array(fc.nat(11), { maxLength: 4 }), { maxLength: 12 })
  .map((edges) =>
    Object.fromEntries(edges.map((targets, index) => [`s${index}`, targets.map((to) => `s${to}`)])),
  );

test('any services: each is stopped once, after those that it waits for, and only circles are cut', () => {
  fc.assert(
    fc.property(graphs, (reaches) => {
      const steps = stopOrder(servicesOf(reaches));
      expect(steps.map(({ name }) => name).toSorted()).toEqual(Object.keys(reaches).toSorted());
      const seen = new Set<string>();
      for (const { name, after } of steps) {
        for (const user of after) expect(seen.has(user)).toBe(true);
        const users = Object.keys(reaches).filter((user) => reaches[user]?.includes(name));
        const cut = users.filter((user) => !after.includes(user));
        for (const user of cut) expect(isReachable(reaches, name, user)).toBe(true);
        seen.add(name);
      }
    }),
  );
});

/** Whether a way of `reach` leads from one service to another (or to itself). */
function isReachable(
  reaches: Readonly<Record<string, readonly string[]>>,
  from: string,
  to: string,
): boolean {
  const seen = new Set<string>();
  const queue = [from];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (name === to) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    queue.push(...(reaches[name] ?? []));
  }
  return false;
}

test('ten thousand services in a chain are ordered', () => {
  const chain = Array.from({ length: 10_000 }, (_, index) => [
    `s${index}`,
    index === 0 ? [] : [`s${index - 1}`],
  ]);
  expect(orderOf(Object.fromEntries(chain)).slice(0, 2)).toEqual(['s9999', 's9998']);
});

test('the longest stop is that of the longest chain, not the sum of all', () => {
  const steps = stopOrder(servicesOf({ a: ['b'], b: [], c: [], d: ['b'] }));
  const stepMs = (name: string) => ({ a: 100, b: 10, c: 50, d: 20 })[name] ?? 0;
  expect(longestStopMs(steps, stepMs)).toBe(110);
  expect(longestStopMs([], stepMs)).toBe(0);
});
