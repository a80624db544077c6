import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type LoadResult, loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/model.js';
import { formatProblem } from '../../src/config/problem.js';

/** Calls back with a directory that holds the files given, and removes it afterwards. */
export function withFiles<T>(
  files: Readonly<Record<string, string | Uint8Array>>,
  use: (directory: string) => T,
): T {
  const directory = mkdtempSync(join(tmpdir(), 'rouse-config-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), content);
    }
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Loads `main.yaml` of the files given. */
export function loadFiles(files: Readonly<Record<string, string | Uint8Array>>): LoadResult {
  return withFiles(files, (directory) => loadConfig(join(directory, 'main.yaml')));
}

export function loadText(text: string): LoadResult {
  return loadFiles({ 'main.yaml': text });
}

/** The configuration; fails the test, with the problems, where there is none. */
export function configOf(result: LoadResult): Config {
  if (result.ok) return result.config;
  throw new Error(result.problems.map(formatProblem).join('\n'));
}

/** The problems as printed, without the directory. */
export function problemLines(result: LoadResult): string[] {
  return result.ok ? [] : withoutDirectory(result.problems.map(formatProblem));
}

export function warningLines(result: LoadResult): string[] {
  return result.ok ? withoutDirectory(result.warnings.map(formatProblem)) : ['it did not load'];
}

function withoutDirectory(lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(/\/[^ :"]*rouse-config-\w+\//g, ''));
}
