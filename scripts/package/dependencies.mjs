import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../prepare/root.mjs';
import { run } from './run.mjs';

const PROGRAM_FILES = /\.(?:js|cjs|mjs|json|node)$/;
const LICENSE_FILES = /^(?:licen[cs]e|copying|notice)(?:\.(?:md|txt))?$/i;
/** What packages carry along beside their program, directly below their directory. */
const NOT_NEEDED = new Set([
  ...['test', 'tests', '__tests__', 'docs', 'doc', 'example', 'examples'],
  ...['bench', 'benchmark', 'benchmarks', 'browser', '.github', 'vendor'],
]);

/** The npm packages that rouse runs with, as directories below the project's root. */
export function listDependencies() {
  const args = ['ls', '--omit=dev', '--all', '--parseable', '--silent'];
  return run('npm', args)
    .split('\n')
    .filter((path) => path.includes('/node_modules/'))
    .map((path) => path.slice(path.indexOf('node_modules/')));
}

/** The files of one of them that it runs with, below the project's root; foreign platforms' are left out. */
export function filesOfDependency(directory) {
  return walk(directory, true).filter((path) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return PROGRAM_FILES.test(name) && !/musl/.test(path) && !isCommand(path);
  });
}

/** Its name, version, license and the text of it. */
export function describeDependency(directory) {
  const {
    name,
    version,
    license = 'unknown',
    author,
  } = JSON.parse(readFileSync(join(ROOT, directory, 'package.json'), 'utf8'));
  const file = readdirSync(join(ROOT, directory)).find((entry) => LICENSE_FILES.test(entry));
  const text = file === undefined ? '' : readFileSync(join(ROOT, directory, file), 'utf8');
  return {
    name,
    version,
    license,
    holder: holderIn(text) ?? nameOf(author) ?? `the authors of ${name}`,
    text,
  };
}

/** The command lines of packages: nobody calls them. */
function isCommand(path) {
  return readFileSync(join(ROOT, path)).subarray(0, 2).toString() === '#!';
}

function holderIn(text) {
  return /^\W*copyright\s+(?:\(c\)|©)?\s*(\d{4}.*?)\s*$/im.exec(text)?.[1];
}

function nameOf(author) {
  return typeof author === 'string' ? author : author?.name;
}

function walk(directory, isTop = false) {
  return readdirSync(join(ROOT, directory)).flatMap((name) => {
    const path = `${directory}/${name}`;
    if (name === 'node_modules' || (isTop && NOT_NEEDED.has(name))) return [];
    return statSync(join(ROOT, path)).isDirectory() ? walk(path) : [path];
  });
}
