import { expect, test } from 'vitest';
import { expandEnvironmentFile } from '../../src/config/environment-file.js';

test.each([
  ['A=1\nB = two words \n', { A: '1', B: 'two words' }],
  ['# comment\n; comment\n\n  A=1', { A: '1' }],
  ['# joined \\\nA=1\nB=2', { B: '2' }],
  [`A="a b"c' d'`, { A: 'a bc d' }],
  ['A=" kept "', { A: ' kept ' }],
  ['A="\\"\\$\\n"', { A: '"$\\n' }],
  [`A='\\'`, { A: '\\' }],
  ['A=x\\ y\\', { A: 'x y' }],
  ['A=one\\\ntwo', { A: 'onetwo' }],
  ['A="one\ntwo"', { A: 'one\ntwo' }],
  ['A=\nB=#no comment', { A: '', B: '#no comment' }],
  ['A=1\r\nB=2\r\n', { A: '1', B: '2' }],
  ['A=1\nA=2', { A: '2' }],
  ['', {}],
])('%j means %j', (text, variables) => {
  expect(expandEnvironmentFile(text)).toEqual(variables);
});

test.each([
  ['A=1\nexport B=2', 'line 2: expected NAME=VALUE'],
  ['1A=1', 'line 1: expected NAME=VALUE'],
  ['A=1\nB="x\n\n', 'line 2: a quote is not closed'],
])('%j is refused: %s', (text, message) => {
  expect(() => expandEnvironmentFile(text)).toThrow(message);
});
