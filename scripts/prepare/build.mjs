import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { ROOT } from './root.mjs';

const STAMP = `${ROOT}dist/.sources`;

function listFiles(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath ?? entry.path}/${entry.name}`)
    .sort();
}

function hashSources() {
  const hash = createHash('sha256');
  const files = [`${ROOT}tsconfig.json`, `${ROOT}package-lock.json`, ...listFiles(`${ROOT}src`)];
  for (const file of files) hash.update(`${file.slice(ROOT.length)}\0`).update(readFileSync(file));
  return hash.digest('hex');
}

/** Deletes what earlier builds made of sources that are gone. */
function removeOrphans() {
  for (const file of listFiles(`${ROOT}dist`)) {
    const source = file
      .replace(`${ROOT}dist/`, `${ROOT}src/`)
      .replace(/\.(d\.ts|js)(\.map)?$/, '.ts');
    if (file !== STAMP && !existsSync(source)) rmSync(file);
  }
}

/** Whether dist was built from the sources as they are now. */
export function isBuilt() {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === hashSources();
}

/** Compiles src to dist. Returns what the compiler had to say; empty: it found no fault. */
export function build() {
  rmSync(STAMP, { force: true });
  const sources = hashSources();
  const compiler = `${ROOT}node_modules/typescript/bin/tsc`;
  const args = [compiler, '-p', 'tsconfig.json', '--pretty', String(process.stdout.isTTY === true)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    encoding: 'utf8',
  });
  removeOrphans();
  if (status !== 0) return `${stdout}${stderr}` || `the compiler ended with ${status}`;
  writeFileSync(STAMP, sources);
  return '';
}
