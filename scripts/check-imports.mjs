// Holds the direction of imports between the folders of src:
// app → supervisor | gateway | egress | admin → ipc → config | sys → base.
// Run by itself it checks the project; tests give it sources of their own.
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './prepare/root.mjs';

/** From top to bottom; a folder may import from itself and from lower rows. */
const LAYERS = [
  ['app'],
  ['supervisor', 'gateway', 'egress', 'admin'],
  ['ipc'],
  ['config', 'sys'],
  ['base'],
];
const KOFFI_FOLDER = 'sys';

const SPECIFIERS = [
  /(?:^|[;}\s])(?:import|export)\s[^'"`;]*?\sfrom\s*['"]([^'"]+)['"]/g,
  /(?:^|[;}\s])import\s*['"]([^'"]+)['"]/g,
  /\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/g,
];
/** How threads and processes of other sources are named; a URL that leads out of src is a data file. */
const URLS = /\bnew URL\(\s*['"](\.[^'"]+)['"]\s*,\s*import\.meta\.url/g;

const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '$1');

const findAll = (text, pattern) =>
  [...withoutComments(text).matchAll(pattern)].map(([, name]) => name);

/** The module specifiers that a source names, in import and export statements and import(). */
export function findSpecifiers(text) {
  return SPECIFIERS.flatMap((pattern) => findAll(text, pattern));
}

function findUrls(path, text) {
  return findAll(text, URLS).filter((url) => !resolve(path, url).startsWith('..'));
}

const resolve = (path, specifier) => posix.join(posix.dirname(path), specifier);
const folderOf = (path) => path.split('/')[0];
const layerOf = (folder) => LAYERS.findIndex((layer) => layer.includes(folder));

function judge(path, specifier) {
  const from = folderOf(path);
  if (specifier === 'koffi' || specifier.startsWith('koffi/')) {
    return from === KOFFI_FOLDER ? null : `only ${KOFFI_FOLDER} imports koffi`;
  }
  if (!specifier.startsWith('.')) return null;
  const target = resolve(path, specifier);
  if (target.startsWith('..')) return 'it leads out of src';
  const to = folderOf(target);
  if (to === from) return null;
  if (layerOf(to) === -1) return `${to} has no place in the order of folders`;
  return layerOf(to) > layerOf(from) ? null : `${from} may not import from ${to}`;
}

/**
 * Every import against the rules, as a sentence.
 * @param sources [path below src with slashes, text] of every file
 */
export function findViolations(sources) {
  return sources.flatMap(([path, text]) => {
    if (layerOf(folderOf(path)) === -1)
      return [`src/${path}: its folder has no place in the order`];
    return [...findSpecifiers(text), ...findUrls(path, text)]
      .map((specifier) => [specifier, judge(path, specifier)])
      .filter(([, fault]) => fault !== null)
      .map(([specifier, fault]) => `src/${path}: imports '${specifier}': ${fault}`);
  });
}

function readSources() {
  return readdirSync(`${ROOT}src`, { recursive: true })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => [path, readFileSync(`${ROOT}src/${path}`, 'utf8')]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const violations = findViolations(readSources());
  for (const violation of violations) console.error(violation);
  process.exitCode = violations.length > 0 ? 1 : 0;
}
