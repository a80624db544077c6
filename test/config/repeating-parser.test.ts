import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { RepeatingParser } from '../../src/config/repeating-parser.js';
import { gateway, topLevel } from '../../src/config/schema/config.js';
import { listener } from '../../src/config/schema/listener.js';
import { service } from '../../src/config/schema/service.js';

const VALUES = ['web', 'x y', '', '1m', '50%', '64K', '100/s', 'tcp:1', 'stdio', 'never', '::1/64'];

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom<unknown>(...VALUES, 0, 1, 1.5, -1, true, false, null, undefined),
    fc.array(tie('any'), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom('http', 'stop', 'freeze', 'allow', 'A', 'web'), tie('any'), {
      maxKeys: 2,
      noNullPrototype: true,
    }),
  ),
})).any;

/** Maps with a few keys of the schema, mostly of the kind that they should be. */
function entriesOf(schema: z.ZodObject): fc.Arbitrary<Record<string, unknown>> {
  const types = Object.entries({ ...schema.shape, unknown: z.never() });
  return fc.subarray(types, { maxLength: Math.min(3, types.length) }).chain((chosen) => {
    const entries = chosen.map(([key, type]) => [key, arbitraryOf(type as z.ZodType)]);
    return fc.record(Object.fromEntries(entries), { noNullPrototype: true });
  });
}

function arbitraryOf(type: z.ZodType): fc.Arbitrary<unknown> {
  let inner: z.ZodType = type;
  while ('innerType' in inner.def) inner = inner.def.innerType as z.ZodType;
  if (inner instanceof z.ZodObject) {
    return fc.oneof({ weight: 5, arbitrary: entriesOf(inner) }, { weight: 1, arbitrary: value });
  }
  if (inner instanceof z.ZodArray) {
    const list = fc.array(arbitraryOf(inner.element as z.ZodType), { maxLength: 2 });
    return fc.oneof({ weight: 5, arbitrary: list }, { weight: 1, arbitrary: value });
  }
  return value;
}

/** What each can't be without. */
const NEEDED: Readonly<Record<string, object>> = {
  listener: { address: '127.0.0.1:80', protocol: 'http' },
};

test.each(Object.entries({ service, listener, gateway, topLevel }))(
  'what the repeating parser makes of a %s is what the schema makes of it',
  (name, schema) => {
    const parser = new RepeatingParser();
    let right = 0;
    fc.assert(
      fc.property(entriesOf(schema), (entries) => {
        const map = { ...NEEDED[name], ...entries };
        const expected = schema.safeParse(map);
        const parsed = parser.parse(schema, map);
        expect(parsed).toEqual(expected.success ? { data: expected.data } : null);
        // The second time it remembers.
        expect(parser.parse(schema, structuredClone(map))).toEqual(parsed);
        if (expected.success) right += 1;
      }),
      { numRuns: 3000 },
    );
    expect(right).toBeGreaterThan(20);
  },
);

test('equal values of different services become one object', () => {
  const parser = new RepeatingParser();
  const limits = { held: 3 };
  const one = parser.parse(service, { upstream: 'tcp:1', limits, idle: 'never' })?.data;
  const other = parser.parse(service, { upstream: 'tcp:1', limits, idle: 'never' })?.data;
  expect(one?.limits).toBe(other?.limits);
  expect(one?.upstream).toBe(other?.upstream);
  expect(one?.run).toBe(other?.run);
});
