import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * The files that a pattern with `*`, `?` and `[…]` names, sorted; hidden files only where the
 * pattern starts with a dot. Without these characters the path itself, whether it exists or not.
 */
export function expandGlob(pattern: string, directory: string): string[] {
  if (!/[*?[]/.test(pattern)) return [resolve(directory, pattern)];
  const parts = resolve(directory, pattern).split('/').slice(1);
  let found = ['/'];
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    found = found
      .flatMap((base) => expandPart(base, part))
      .filter((path) => (isLast ? isFile(path) : true));
  }
  return found.sort();
}

function expandPart(base: string, part: string): string[] {
  if (!/[*?[]/.test(part)) {
    const path = join(base, part);
    return existsSync(path) ? [path] : [];
  }
  const pattern = new RegExp(`^${toRegExp(part)}$`, 'su');
  return namesIn(base)
    .filter((name) => pattern.test(name) && (part.startsWith('.') || !name.startsWith('.')))
    .map((name) => join(base, name));
}

function toRegExp(part: string): string {
  return part.replace(/\[!?[^\]]+\]|[\s\S]/g, (token) => {
    if (token === '*') return '.*';
    if (token === '?') return '.';
    if (token.length > 1) return characterClass(token);
    return token.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  });
}

function characterClass(token: string): string {
  const negated = token.startsWith('[!');
  const members = token.slice(negated ? 2 : 1, -1).replace(/[\\\]^[]/g, '\\$&');
  return `[${negated ? '^' : ''}${members}]`;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
