import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCommand, systemPath } from '../../src/config/find-command.js';
import { runToEnd } from '../support/run-process.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/package.mjs', import.meta.url));
const missing = ['dpkg-deb', 'lintian'].filter((name) => !findCommand(name, systemPath(), null));

/** Why the package can't be looked at here; null: it can. */
export const whyNoPackage: string | null =
  missing.length === 0 ? null : `not installed: ${missing.join(', ')}`;

/** Runs a program; rejects with what it said where it fails. */
export async function mustRun(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(command);
  if (code === 0) return stdout;
  throw new Error(`${command.join(' ')}: ended with ${code}\n${stdout}${stderr}`);
}

/** Builds the package as `npm run package` does; the path of it. */
export async function buildPackage(directory: string): Promise<string> {
  await mustRun([process.execPath, SCRIPT, '--out', directory]);
  const name = readdirSync(directory).find((entry) => entry.endsWith('.deb'));
  return join(directory, name ?? '');
}

/** A package as text, for what takes only such. */
export function encodePackage(file: string): string {
  return readFileSync(file).toString('base64');
}
