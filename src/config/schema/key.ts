import * as z from 'zod';
import { ValueError } from '../value-error.js';

/** When a change of a key takes effect after a reload. */
export type ReloadEffect =
  | 'at once'
  | 'next start'
  | 'listener reopens'
  | 'gateway restarts'
  | 'restart of rouse';

/** What the reference says of a key, next to its type. */
export interface KeyRow {
  readonly description: string;
  readonly reload: ReloadEffect;
  /** Where the default is no constant. */
  readonly shownDefault?: string;
}

/** One key of the configuration: its type (with its default), when a change takes effect, a sentence. */
export function key<T extends z.ZodType>(
  type: T,
  reload: ReloadEffect,
  description: string,
  shownDefault?: string,
): T {
  return type.meta({ description, reload, shownDefault }) as T;
}

/** Text with a syntax of its own; `form` names it in the reference. `parse` throws a `ValueError`. */
export function parsedText<T>(form: string, parse: (text: string) => T) {
  return z
    .string()
    .transform((text, context): T => {
      try {
        return parse(text);
      } catch (error) {
        if (!(error instanceof ValueError)) throw error;
        context.addIssue({ code: 'custom', message: error.message });
        return z.NEVER;
      }
    })
    .meta({ form });
}

/** A map that may be left out: then it is what an empty one would be, made once for all. */
export function withDefaults<T extends z.ZodObject>(type: T): z.ZodDefault<T> {
  return type.default(type.parse({}) as z.util.NoUndefined<z.output<T>>);
}
