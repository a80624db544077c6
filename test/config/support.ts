import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  type LoadResult,
  type LocatedResult,
  loadConfig,
  loadLocatedConfig,
} from '../../src/config/load.js';
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

/** Loads `main.yaml` of the files given, both ways: the quick one that serves finds the same as the one that knows every place. */
export function loadFiles(files: Readonly<Record<string, string | Uint8Array>>): LocatedResult {
  return withFiles(files, (directory) => {
    const result = loadLocatedConfig(join(directory, 'main.yaml'));
    const { locate: _, ...located } = { locate: null, ...result };
    const quick = loadConfig(join(directory, 'main.yaml'));
    if (!isDeepStrictEqual(quick, located)) {
      throw new Error(
        `the quick way finds ${JSON.stringify(quick)}, not ${JSON.stringify(located)}`,
      );
    }
    return result;
  });
}

export function loadText(text: string): LocatedResult {
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
