import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RouseError } from '../base/errors.js';

/** The first line of what rouse installed: only such files are replaced or removed. */
const MARK = '# Installed by rouse install-units; changes go to a drop-in (systemctl edit).';
/** What units call rouse by; they stand in the sources as a Debian package has them. */
const PACKAGED_PROGRAM = '/usr/bin/rouse';
const UNIT_NAMES = /^rouse(?:@)?\.(?:service|socket)$/;

/** A unit, and what is to be done about it. */
export interface UnitFile {
  readonly path: string;
  readonly content: string;
  /** `foreign`: somebody else's file stands there. */
  readonly state: 'missing' | 'different' | 'same' | 'foreign';
}

/** What installing the units of `source` into `directory` means; `program` is how rouse is started. */
export function planUnits(
  source: string,
  directory: string,
  program: readonly string[],
): UnitFile[] {
  return readdirSync(source)
    .filter((name) => UNIT_NAMES.test(name))
    .sort()
    .map((name) => {
      const content = renderUnit(readFileSync(join(source, name), 'utf8'), program);
      const path = join(directory, name);
      return { path, content, state: stateOf(readIfThere(path), content) };
    });
}

/** The unit with the program's place in its Exec lines, quoted as systemd.service(5) reads it. */
export function renderUnit(unit: string, program: readonly string[]): string {
  const command = program.map(quoted).join(' ');
  const lines = unit
    .split('\n')
    .map((line) =>
      /^Exec\w+=/.test(line)
        ? line.replace(/(?<==[-@:+!]*)\/usr\/bin\/rouse(?= |$)/, () => command)
        : line,
    );
  const isLeft = (line: string) => !line.startsWith('#') && line.includes(PACKAGED_PROGRAM);
  if (!lines.some(isLeft)) return `${MARK}\n${lines.join('\n')}`;
  throw new RouseError('system', 'a unit names its program where it cannot be replaced');
}

function quoted(word: string): string {
  const specifiers = word.replaceAll('%', '%%');
  if (/^[\w/.%@+-]+$/.test(specifiers)) return specifiers;
  return `"${specifiers.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('$', '$$$$')}"`;
}

function stateOf(present: string | null, wanted: string): UnitFile['state'] {
  if (present === null) return 'missing';
  if (present === wanted) return 'same';
  return isOurs(present) ? 'different' : 'foreign';
}

function isOurs(content: string): boolean {
  return content.startsWith(`${MARK}\n`);
}

/** Writes the units that aren't there as they should be. Throws a `RouseError` before it writes any where one is somebody else's. */
export function writeUnits(units: readonly UnitFile[]): void {
  const foreign = units.find(({ state }) => state === 'foreign');
  if (foreign) {
    throw new RouseError(
      'system',
      `${foreign.path} was not written by rouse install-units; move it away, or put your changes into a drop-in`,
    );
  }
  for (const { path, content, state } of units) {
    if (state === 'same') continue;
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o755 });
    writeFileSync(`${path}.new`, content, { mode: 0o644 });
    renameSync(`${path}.new`, path);
  }
}

/** Removes those that rouse wrote; returns their paths. */
export function removeUnits(units: readonly UnitFile[]): string[] {
  const ours = units.filter(({ state }) => state === 'same' || state === 'different');
  for (const { path } of ours) rmSync(path);
  return ours.map(({ path }) => path);
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
