// npm test: installs what is missing, builds, and checks everything that a reviewer would ask:
// types, lint, unused code, direction of imports, tests. The last line is the count.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './prepare/build.mjs';
import { ensureDebianPackages } from './prepare/debian-packages.mjs';
import { ensureNodeModules } from './prepare/node-modules.mjs';
import { requirePlatform } from './prepare/platform.mjs';
import { ROOT } from './prepare/root.mjs';
import { say } from './prepare/say.mjs';
import { countResults } from './test/count-results.mjs';
import { ensureSystemdTree } from './test/systemd-tree.mjs';

const DEBIAN_PACKAGES = [
  'bubblewrap',
  'curl',
  'openssl',
  'netcat-openbsd',
  'util-linux',
  'iproute2',
  'procps',
  'perl',
  'debootstrap',
  'systemd-container',
  'groff-base',
  'lintian',
];

const CHECKS = [
  ['types', () => build() + run('node_modules/typescript/bin/tsc', '-p', 'test/tsconfig.json')],
  ['lint', () => run('node_modules/@biomejs/biome/bin/biome', 'check')],
  ['unused code', () => run('node_modules/knip/bin/knip.js', '--no-progress')],
  ['imports', () => run('scripts/check-imports.mjs')],
];

/** Runs a program of the project's; returns what it printed when it found fault, else nothing. */
function run(program, ...args) {
  const options = { cwd: ROOT, encoding: 'utf8' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], options);
  return status === 0 ? '' : `${stdout}${stderr}` || `${program} ended with ${status}`;
}

function runCheck([name, check]) {
  const startedMs = Date.now();
  const faults = check();
  say(`${faults === '' ? 'ok    ' : 'FAILED'} ${name} (${Date.now() - startedMs} ms)`);
  if (faults !== '') say(faults);
  return faults === '';
}

/** Runs the tests; vitest's JSON report, or null when there is none. */
function runTests(args) {
  const directory = mkdtempSync(join(tmpdir(), 'rouse-report-'));
  const report = join(directory, 'report.json');
  const options = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...options, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const results = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : null;
  rmSync(directory, { recursive: true });
  return results;
}

requirePlatform();
ensureNodeModules();
ensureDebianPackages(DEBIAN_PACKAGES);
ensureSystemdTree();
const checks = CHECKS.map(runCheck);
const counts = countResults(runTests(process.argv.slice(2)), checks);
const mayNotSkip = process.env.CI === 'true' && process.getuid() === 0;
if (mayNotSkip && counts.skipped > 0) say('FAILED as root in CI no test may be skipped');
say(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || (mayNotSkip && counts.skipped > 0) ? 1 : 0;
