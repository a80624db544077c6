import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What .gitignore leaves out, and git's own. */
const IGNORED = /^(node_modules|dist|\.git|\.rouse-.*)(\/|$)|\.log$/;

interface SourceFile {
  readonly path: string;
  readonly text: string;
}

function listFiles(directory: string): string[] {
  return readdirSync(ROOT + directory, { recursive: true, encoding: 'utf8' })
    .map((path) => `${directory}/${path}`)
    .filter((path) => !IGNORED.test(path) && statSync(ROOT + path).isFile());
}

/** Everything that is, or would be, committed. */
function readProject(): SourceFile[] {
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => !IGNORED.test(entry.name))
    .flatMap((entry) => (entry.isDirectory() ? listFiles(entry.name) : [entry.name]))
    .map((path) => ({ path, text: readFileSync(ROOT + path, 'utf8') }));
}

const project = readProject();
const code = project.filter(({ path }) => /\.(m?js|ts|pl|sh|yaml)$/.test(path));

/** `file:line` of every line that matches. */
function findLines(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
  );
}

test('nothing in the project names the directory it was written in', () => {
  const naming = project.filter(({ text }) => text.includes(ROOT));
  expect(naming.map(({ path }) => path)).toEqual([]);
});

test('the lock file names no download address', () => {
  const lock = project.filter(({ path }) => path === 'package-lock.json');
  expect(findLines(lock, /"resolved":\s*"http/)).toEqual([]);
});

test('nothing is left over: no notes to self, no tests switched off or singled out', () => {
  const leftovers = ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'];
  expect(findLines(code, new RegExp(`\\b(${leftovers.join('|')})\\b`))).toEqual([]);
  const tests = code.filter(({ path }) => path.endsWith('.test.ts'));
  expect(findLines(tests, /\b(test|it|describe)\.(only|skip|todo)\(/)).toEqual([]);
});

test('every file of src is short enough to be read in one go', () => {
  const long = code.filter(
    ({ path, text }) => path.startsWith('src/') && text.split('\n').length > 400,
  );
  expect(long.map(({ path }) => path)).toEqual([]);
});

test('file names are kebab-case', () => {
  const odd = code.filter(({ path }) => !/(^|\/)[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)+$/.test(path));
  expect(odd.map(({ path }) => path)).toEqual([]);
});

test('fixtures that are programs can be executed', () => {
  const programs = project.filter(
    ({ path, text }) => path.startsWith('test/fixtures/') && text.startsWith('#!'),
  );
  const modes = programs.map(({ path }) => [path, (statSync(ROOT + path).mode & 0o111) !== 0]);
  expect(modes.filter(([, isExecutable]) => !isExecutable)).toEqual([]);
  expect(modes.length).toBeGreaterThan(0);
});
