import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Mark, Marks, Source } from '../../src/config/source.js';
import { readPlainYaml } from '../../src/config/yaml-plain.js';
import { readAnyYaml } from '../../src/config/yaml-tree.js';
import { loadText, problemLines } from './support.js';

/** A tree with the offsets of every key and value. */
function annotate(value: unknown, marks: Marks): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value).map(([name, entry]) => {
    const key = Array.isArray(value) ? Number(name) : name;
    const { keyOffset, valueOffset } = marks.get(value, key) as Mark;
    return [name, keyOffset, valueOffset, annotate(entry, marks)];
  });
}

/** The plain reader's answer, or null where it leaves the text to `yaml`. */
function readPlain(text: string): unknown {
  const marks = new Marks();
  const result = readPlainYaml(new Source('f', '/', text), marks);
  return result === null ? null : { tree: annotate(result.value, marks), value: result.value };
}

function readAny(text: string): unknown {
  const marks = new Marks();
  const result = readAnyYaml(new Source('f', '/', text), marks);
  return result.ok ? { tree: annotate(result.value, marks), value: result.value } : result;
}

const scalar = fc.oneof(
  fc.constantFrom(...['a', 'tcp:3000', '5m', 'null', '~', 'true', 'no', '022', '-1', '1.5', '.5']),
  fc.constantFrom(
    '""',
    "''",
    '"a b"',
    "'#'",
    '"*.x"',
    'a b',
    '-D',
    '/x',
    '0x1F',
    '1e3',
    '+5',
    '-0',
  ),
  fc.constantFrom('10.0.0.1', 'a#b', '::1', 'a:', '@x', '%x', '9007199254740993', '.inf', 'NULL'),
);
const flow = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    scalar,
    fc.array(tie('node'), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
    fc
      .array(tie('node'), { maxLength: 3 })
      .map((items) => `{ ${items.map((item, index) => `k${index}: ${item}`).join(', ')} }`),
  ),
})).node;
const line = fc
  .tuple(
    fc.nat(4),
    fc.constantFrom('a:', 'b:', '"c d":', '-', '- a:', '- b:', '- -', '#', '', 'x', "'e':", '1:'),
    fc.oneof(fc.constant(''), flow),
    fc.constantFrom('', '', ' # c', ' ', '#c', ' x'),
  )
  .map(([indent, head, value, tail]) => `${' '.repeat(indent)}${head} ${value}${tail}`.trimEnd());

test('what the plain reader reads, yaml reads the same, with the same positions', () => {
  let plain = 0;
  const document = fc.array(line, { minLength: 1, maxLength: 6 }).map((lines) => lines.join('\n'));
  fc.assert(
    fc.property(document, (text) => {
      const result = readPlain(text);
      if (result === null) return;
      plain += 1;
      expect(result).toEqual(readAny(text));
    }),
    { numRuns: 5000 },
  );
  expect(plain).toBeGreaterThan(300);
});

test('the examples are plain', () => {
  for (const file of readdirSync('config/examples').filter((name) => name.endsWith('.yaml'))) {
    const text = readFileSync(`config/examples/${file}`, 'utf8');
    expect(readPlain(text)).toEqual(readAny(text));
  }
});

test('anchors, several lines and other YAML work too', () => {
  const yaml = `services:
  a: &a
    run:
      command:
        - sh
        - -c
        - |
          echo 1
          echo 2
    upstream: "tcp:\\u0031"
  b: *a
`;
  const result = loadText(yaml);
  expect(result.ok && result.config.services[1]?.run.command[2]).toBe('echo 1\necho 2\n');
});

test.each([
  ['a: [', /^main\.yaml:1:5: YAML: /],
  ['a: 1\n b: 2\n', /^main\.yaml:1:4: YAML: /],
  [
    'log: {}\nlog: {}\n',
    /^main\.yaml:2:1: YAML: the key "log" stands here twice \(the other: main\.yaml:1:1\)$/,
  ],
  ['log: {}\n---\nlog: {}\n', /^main\.yaml:2:1: YAML: only one YAML document is allowed$/],
  ['log: *a', /^main\.yaml:1:6: YAML: /],
  ['log: &a [*a]', /^main\.yaml:1:10: YAML: the alias \*a contains itself$/],
  ['log: !!binary aGk=', /^main\.yaml:1:15: YAML: the tag /],
  ['? [a]\n: b\n', /^main\.yaml:1:3: YAML: a key must be text$/],
  ['__proto__: {}', /^main\.yaml:1:1: YAML: this key is not allowed$/],
  ['\t- a', /^main\.yaml:1:\d+: YAML: /],
])('%j is refused, with its place', (yaml, line) => {
  const lines = problemLines(loadText(yaml));
  expect(lines.length).toBeGreaterThan(0);
  expect(lines[0]).toMatch(line);
});

test('a file that multiplies itself by aliases is refused', () => {
  const levels = Array.from({ length: 12 }, (_, index) => {
    const item = index === 0 ? 'x' : `*l${index - 1}`;
    return `l${index}: &l${index} [${Array(10).fill(item).join(', ')}]`;
  });
  expect(problemLines(loadText(levels.join('\n')))[0]).toMatch(/aliases repeat too much/);
});

test('a file that nests without end is refused', () => {
  const lines = problemLines(loadText(`a: ${'['.repeat(100_000)}${']'.repeat(100_000)}`));
  expect(lines).toEqual([expect.stringMatching(/nested too deep/)]);
});
