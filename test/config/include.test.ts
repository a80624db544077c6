import { expect, test } from 'vitest';
import { configFromObject, loadConfig } from '../../src/config/load.js';
import { configOf, loadFiles, problemLines, withFiles } from './support.js';

const service = (name: string) =>
  `services:\n  ${name}: { run: { command: [cat] }, upstream: tcp:1 }\n`;

test('files that a pattern names are read in order, nested includes too, each once', () => {
  const files = {
    'main.yaml': 'include: ["d/*.yaml", "d/[ab]*.yaml", "none/*.yaml"]\n',
    'd/b.yaml': service('b'),
    'd/a.yaml': `include: [deep/x.yaml]\n${service('a')}`,
    'd/deep/x.yaml': service('x'),
    'd/.hidden.yaml': 'not: read',
    'd/c.yml': 'not: read',
  };
  expect(configOf(loadFiles(files)).services.map(({ name }) => name)).toEqual(['a', 'x', 'b']);
});

test('a name in two files is an error that names both places', () => {
  const files = {
    'main.yaml': `include: [a.yaml]\n${service('blog')}`,
    'a.yaml': `listeners: {}\n${service('blog')}`,
  };
  expect(problemLines(loadFiles(files))).toEqual([
    'a.yaml:3:3: services.blog: this name is taken (the other: main.yaml:3:3)',
  ]);
});

test('files that include each other are an error', () => {
  const files = { 'main.yaml': 'include: [a.yaml]', 'a.yaml': 'include: [main.yaml]' };
  expect(problemLines(loadFiles(files))).toEqual([
    'a.yaml:1:11: include: "main.yaml" includes itself',
  ]);
});

test('an included file that is missing or holds a key of the main file is an error', () => {
  const files = {
    'main.yaml': 'include:\n  - gone.yaml\n  - a.yaml\n',
    'a.yaml': 'servics: {}\nlog: {}',
  };
  expect(problemLines(loadFiles(files))).toEqual([
    'a.yaml:1:1: servics: an included file may not hold this key; did you mean "services"?',
    'a.yaml:2:1: log: an included file may not hold this key',
    expect.stringMatching(/^main\.yaml:2:5: include: cannot read "gone\.yaml": ENOENT/),
  ]);
});

test('problems of all files come together, each with its own', () => {
  const files = {
    'main.yaml': 'include: [a.yaml, b.yaml]\nlistners: {}\n',
    'a.yaml': 'services: [',
    'b.yaml': 'services:\n  b: { run: { command: [cat] }, upstream: tcp }\n',
  };
  expect(problemLines(loadFiles(files)).map((line) => line.split(': ').slice(0, 2))).toEqual([
    ['a.yaml:1:12', 'YAML'],
    ['b.yaml:2:43', 'services.b.upstream'],
    ['main.yaml:2:1', 'listners'],
  ]);
});

test('an object may include files', () => {
  withFiles({ 'a.yaml': service('a') }, (directory) => {
    const result = configFromObject({ include: ['*.yaml'] }, directory);
    expect(configOf(result).services.map(({ name }) => name)).toEqual(['a']);
  });
});

test.each([
  ['a file that is not there', {}, /^main\.yaml: cannot read "main\.yaml": ENOENT/],
  ['a directory', { 'main.yaml/x': '' }, /^main\.yaml: cannot read "main\.yaml": it is no file/],
  ['bytes that are no text', { 'main.yaml': Uint8Array.of(0x61, 0xff) }, /it is not UTF-8$/],
])('%s', (_title, files, line) => {
  expect(problemLines(loadFiles(files))).toEqual([expect.stringMatching(line)]);
});

test('relative paths of defaults count from their file, those of a service from its own', () => {
  const run = (command: string, own = '') => `run: { command: [${command}]${own} }`;
  const files = {
    'main.yaml': `include: [sub/*.yaml]
defaults:
  run: { directory: shared, environment_file: env }
  isolation: { readable: [a] }
services:
  main: { ${run('cat')}, upstream: tcp:1 }
`,
    'sub/a.yaml': `services:
  a: { ${run('cat', ', directory: own')}, upstream: tcp:1, isolation: { writable: [b] } }
  b: { ${run('cat')}, upstream: tcp:1 }
`,
  };
  withFiles(files, (directory) => {
    const paths = configOf(loadConfig(`${directory}/main.yaml`)).services.map((service) => {
      const { run, isolation } = service;
      const all = [
        run.directory,
        run.environmentFile,
        ...isolation.readable,
        ...isolation.writable,
      ];
      return [service.name, ...all.map((path) => path?.replace(`${directory}/`, ''))];
    });
    expect(paths).toEqual([
      ['main', 'shared', 'env', 'a'],
      ['a', 'sub/own', 'env', 'a', 'sub/b'],
      ['b', 'shared', 'env', 'a'],
    ]);
  });
  loadFiles(files);
});
