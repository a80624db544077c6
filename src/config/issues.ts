import type * as z from 'zod';
import type { KeyPath } from './problem.js';
import { didYouMean } from './suggest.js';

type Issue = z.core.$ZodIssue;

/** What the schema found wrong, in words, and whether a key or its value is meant. */
export interface Finding {
  readonly path: KeyPath;
  readonly message: string;
  readonly at: 'key' | 'value';
}

/** The findings of a parse that failed; a misspelt key is one, not also the absence of the right one. */
export function describeIssues(
  schema: z.ZodType,
  value: unknown,
  issues: readonly Issue[],
): Finding[] {
  const flat = issues.flatMap((issue) => flattenUnion(issue, []));
  const misspelt = new Set(
    flat.filter(({ issue }) => issue.code === 'unrecognized_keys').map(({ path }) => joined(path)),
  );
  return flat.flatMap(({ issue, path }) => {
    const isMissing = issue.code !== 'unrecognized_keys' && valueAt(value, path) === undefined;
    if (isMissing && misspelt.has(joined(path.slice(0, -1)))) return [];
    return describeIssue(schema, value, issue, path);
  });
}

interface FlatIssue {
  readonly issue: Issue;
  readonly path: KeyPath;
}

/** Of a union's branches, the issues of the one that was meant: where the value's kind was right. */
function flattenUnion(issue: Issue, prefix: KeyPath): FlatIssue[] {
  const path = [...prefix, ...(issue.path as (string | number)[])];
  if (issue.code !== 'invalid_union' || issue.message !== 'Invalid input') return [{ issue, path }];
  const meant = issue.errors.find((branch) => !branch.some((inner) => isWrongKind(inner)));
  if (meant === undefined) return [{ issue, path }];
  return meant.flatMap((inner) => flattenUnion(inner, path));
}

function isWrongKind(issue: Issue): boolean {
  return (
    issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value')
  );
}

function describeIssue(schema: z.ZodType, value: unknown, issue: Issue, path: KeyPath): Finding[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, value, path);
    return issue.keys.map((name) => ({
      path: [...path, name],
      message: `unknown key${didYouMean(name, known)}`,
      at: 'key',
    }));
  }
  if (issue.code === 'invalid_key') {
    return [{ path, message: issue.issues[0]?.message ?? issue.message, at: 'key' }];
  }
  const given = valueAt(value, path);
  if (given === undefined) return [{ path, message: 'this key is missing', at: 'value' }];
  return [{ path, message: valueMessage(issue, given), at: 'value' }];
}

function valueMessage(issue: Issue, given: unknown): string {
  const isOwnMessage = !issue.message.startsWith('Invalid ') && !issue.message.startsWith('Too ');
  if (isOwnMessage) return issue.message;
  if (issue.code === 'too_small') return `must be at least ${atLeast(issue)}`;
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`;
  const expected = [...new Set(expectations(issue))];
  const choices = expected.filter((one) => one.startsWith('"')).map((one) => one.slice(1, -1));
  const hint = typeof given === 'string' ? didYouMean(given, choices) : '';
  return `expected ${listed(expected)}, not ${shown(given)}${hint}`;
}

function atLeast(issue: Extract<Issue, { code: 'too_small' }>): string {
  if (issue.origin === 'array') return `a list of ${issue.minimum}`;
  return issue.origin === 'string' ? `${issue.minimum} character` : String(issue.minimum);
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

function expectations(issue: Issue): string[] {
  if (issue.code === 'invalid_value') return issue.values.map((one) => JSON.stringify(one));
  if (issue.code === 'invalid_type') return [KINDS[issue.expected] ?? issue.expected];
  if (issue.code === 'invalid_union') return issue.errors.flat().flatMap(expectations);
  return [issue.message];
}

function listed(choices: readonly string[]): string {
  return choices.length < 2
    ? choices.join('')
    : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

function shown(given: unknown): string {
  if (given === null) return 'nothing';
  if (Array.isArray(given)) return 'a list';
  if (typeof given === 'object') return 'a map';
  const text = typeof given === 'string' ? JSON.stringify(given) : String(given);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function valueAt(value: unknown, path: KeyPath): unknown {
  let found = value;
  for (const part of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part))
      return undefined;
    found = (found as Record<string | number, unknown>)[part];
  }
  return found;
}

/** The keys that the schema knows at a path. */
function keysAt(schema: z.ZodType, value: unknown, path: KeyPath): string[] {
  let here: z.ZodType[] = objectsIn(schema);
  for (const part of path) here = here.flatMap((one) => childrenOf(one, part));
  const maps = here.flatMap((one) => ('shape' in one ? [one.shape as object] : []));
  return valueAt(value, path) === undefined ? [] : maps.flatMap((shape) => Object.keys(shape));
}

function childrenOf(schema: z.ZodType, part: string | number): z.ZodType[] {
  const { def } = schema as unknown as { def: Record<string, unknown> };
  if (def.type === 'object') {
    const child = (def.shape as Record<string, z.ZodType>)[part];
    return child === undefined ? [] : objectsIn(child);
  }
  const child = (def.type === 'array' ? def.element : def.valueType) as z.ZodType | undefined;
  return child === undefined ? [] : objectsIn(child);
}

/** The maps and lists that a schema stands for, without wrappers and through unions. */
function objectsIn(schema: z.ZodType): z.ZodType[] {
  const { def } = schema as unknown as { def: Record<string, unknown> };
  switch (def.type) {
    case 'optional':
    case 'prefault':
    case 'nullable':
      return objectsIn(def.innerType as z.ZodType);
    case 'union':
      return (def.options as z.ZodType[]).flatMap(objectsIn);
    case 'object':
    case 'array':
    case 'record':
      return [schema];
    default:
      return [];
  }
}

function joined(path: KeyPath): string {
  return path.join('\0');
}
