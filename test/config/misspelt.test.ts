import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadText, problemLines } from './support.js';

/** Every key of the example that has one of everything, by line. */
const LINES = readFileSync('config/examples/full.yaml', 'utf8').split('\n');
const VARIABLES = /^(?:TZ|PORT)$/;
const NAMES_AND_KEYS = LINES.flatMap((line, index) => {
  const code = line.replace(/(?:^| )#.*$/, '');
  return [...code.matchAll(/(?<=^ *|[{,] |- )([a-z_]+):(?= |$)/g)].map((match) => ({
    index,
    offset: match.index,
    key: match[1] ?? '',
  }));
});

/** Names of listeners, services and gateways aren't keys: misspelt, they are other names. */
function isName(index: number, offset: number): boolean {
  const section = LINES.slice(0, index + 1).findLast((line) => /^\w/.test(line)) ?? '';
  return offset === 2 && /^(?:listeners|services|gateways):/.test(section);
}

const REFERENCES = /(?:reach: \{ )$/;
const KEYS = NAMES_AND_KEYS.filter(({ index, offset, key }) => {
  const before = LINES[index]?.slice(0, offset) ?? '';
  return !isName(index, offset) && !VARIABLES.test(key) && !REFERENCES.test(before);
});

test('any one misspelt key is exactly one problem, with its line and column', () => {
  expect(KEYS.length).toBeGreaterThan(60);
  const typo = fc.tuple(fc.constantFrom(...KEYS), fc.nat(), fc.constantFrom('q', 'xx', 'z9'));
  fc.assert(
    fc.property(typo, ([{ index, offset, key }, at, extra]) => {
      const misspelt =
        key.slice(0, at % (key.length + 1)) + extra + key.slice(at % (key.length + 1));
      const line = LINES[index] ?? '';
      const changed = line.slice(0, offset) + misspelt + line.slice(offset + key.length);
      const problems = problemLines(loadText(LINES.with(index, changed).join('\n')));
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(
        new RegExp(
          `^main\\.yaml:${index + 1}:${offset + 1}: (?:[^ ]*\\.)?${misspelt}: unknown key`,
        ),
      );
    }),
    { numRuns: 200 },
  );
});
