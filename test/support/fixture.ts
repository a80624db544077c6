import { fileURLToPath } from 'node:url';
import { type ProcessOptions, TestProcess } from './run-process.js';

/** Where the fixtures are: the `directory` of services in tests. */
export const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));

/** Absolute path of a fixture. */
export function fixturePath(name: string): string {
  return `${FIXTURES}${name}`;
}

/** Starts a fixture by itself, without rouse. */
export function startFixture(
  name: string,
  args: readonly (string | number)[] = [],
  options?: ProcessOptions,
): TestProcess {
  return new TestProcess([fixturePath(name), ...args.map(String)], options);
}
