import type * as z from 'zod';
import type { KeyRow } from './schema/key.js';

/** One key as the reference shows it. */
export interface KeyEntry extends KeyRow {
  /** As `services.NAME.routes[].host`. */
  readonly path: string;
  readonly type: string;
  /** What it is where it isn't given, as it would be written; empty: nothing. */
  readonly shownDefault: string;
  readonly isRequired: boolean;
}

type Def = Record<string, unknown> & { readonly type: string };

/** Every key below a schema, in the order of the schema. */
export function listKeys(schema: z.ZodType, prefix = ''): KeyEntry[] {
  const def = defOf(schema);
  switch (def.type) {
    case 'optional':
    case 'prefault':
    case 'default':
      return listKeys(def.innerType as z.ZodType, prefix);
    case 'union':
      return (def.options as z.ZodType[]).flatMap((option) => listKeys(option, prefix));
    case 'array':
      return listKeys(def.element as z.ZodType, `${prefix}[]`);
    case 'record':
      return listKeys(def.valueType as z.ZodType, joinPath(prefix, 'NAME'));
    case 'object':
      return Object.entries(def.shape as Record<string, z.ZodType>).flatMap(([name, child]) => {
        const path = joinPath(prefix, name);
        return [describeKey(path, child), ...listKeys(child, path)];
      });
    default:
      return [];
  }
}

function describeKey(path: string, schema: z.ZodType): KeyEntry {
  const row = (schema.meta() ?? {}) as Partial<KeyRow>;
  const def = defOf(schema);
  return {
    path,
    type: typeOf(schema),
    description: row.description ?? '',
    reload: row.reload ?? ('' as KeyRow['reload']),
    shownDefault: row.shownDefault ?? defaultOf(def),
    isRequired: !['optional', 'prefault', 'default'].includes(def.type),
  };
}

function defaultOf(def: Def): string {
  if (def.type !== 'prefault' && def.type !== 'default') return '';
  const value = def.defaultValue;
  if (typeof value !== 'object') return `\`${String(value)}\``;
  return Array.isArray(value) ? '`[]`' : '';
}

/** The type of a value in words. */
function typeOf(schema: z.ZodType): string {
  const def = defOf(schema);
  const form = (schema.meta() as { form?: string } | undefined)?.form;
  if (form !== undefined) return form;
  switch (def.type) {
    case 'optional':
    case 'prefault':
    case 'default':
      return typeOf(def.innerType as z.ZodType);
    case 'union':
      return [...new Set((def.options as z.ZodType[]).map(typeOf))].join(' or ');
    case 'enum':
      return Object.values(def.entries as Record<string, string>)
        .map(quote)
        .join(', ');
    case 'literal':
      return (def.values as string[]).map(quote).join(', ');
    case 'array':
      return `list of ${typeOf(def.element as z.ZodType)}`;
    case 'record':
      return `map of ${typeOf(def.keyType as z.ZodType)} to ${typeOf(def.valueType as z.ZodType)}`;
    case 'object':
      return 'map';
    case 'number':
      return 'whole number';
    case 'boolean':
      return '`true`, `false`';
    case 'string':
      return 'text';
    default:
      return def.type;
  }
}

function quote(text: string): string {
  return `\`${text}\``;
}

function joinPath(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}.${name}`;
}

function defOf(schema: z.ZodType): Def {
  return (schema as unknown as { def: Def }).def;
}
