import type * as z from 'zod';

/** What a key had before; where every service has something else, remembering would not help. */
const MAX_KNOWN = 1000;
/** Not right; the schema says why. */
const WRONG = Symbol('wrong');

type Parse = (value: unknown) => unknown;

/**
 * Parses by a schema what mostly repeats itself: ten thousand services have a few different values
 * for most keys, and each is parsed once. Equal values give one shared object, so what is parsed is
 * small too. Maps and lists are taken apart here, everything else is the schema's own work.
 */
export class RepeatingParser {
  readonly #parsers = new Map<z.ZodType, Parse>();

  /** As `schema.safeParse`; null where the value isn't right. */
  parse<T extends z.ZodType>(schema: T, value: unknown): { readonly data: z.output<T> } | null {
    const data = this.#parserOf(schema)(value);
    return data === WRONG ? null : { data: data as z.output<T> };
  }

  #parserOf(schema: z.ZodType): Parse {
    let parser = this.#parsers.get(schema);
    if (parser === undefined) {
      parser = this.#createParser(schema);
      this.#parsers.set(schema, parser);
    }
    return parser;
  }

  #createParser(schema: z.ZodType): Parse {
    const { def } = schema as unknown as { def: Def };
    if (def.checks !== undefined && def.checks.length > 0) return remember(bySchema(schema));
    switch (def.type) {
      case 'object':
        return isStrict(def) ? remember(this.#objectParser(def)) : remember(bySchema(schema));
      case 'array':
        return remember(this.#listParser(def));
      case 'record':
        return remember(this.#recordParser(def));
      case 'optional':
        return this.#parserOr(def, () => undefined);
      case 'default':
      case 'prefault': {
        const absent = remember(bySchema(schema));
        return this.#parserOr(def, () => absent(undefined));
      }
      default:
        return remember(bySchema(schema));
    }
  }

  /** Of what may be left out. */
  #parserOr(def: Def, whenAbsent: () => unknown): Parse {
    const inner = this.#parserOf(def.innerType);
    return (value) => (value === undefined ? whenAbsent() : inner(value));
  }

  #objectParser({ shape }: Def): Parse {
    const keys = Object.entries(shape).map(([key, type]) => [key, this.#parserOf(type)] as const);
    return (value) => {
      if (!isPlainObject(value)) return WRONG;
      const result: Record<string, unknown> = {};
      let taken = 0;
      for (const [key, parse] of keys) {
        const isThere = Object.hasOwn(value, key);
        if (isThere) taken += 1;
        const data = parse(value[key]);
        if (data === WRONG) return WRONG;
        if (isThere || data !== undefined) result[key] = data;
      }
      return taken === Object.keys(value).length ? result : WRONG;
    };
  }

  #listParser({ element }: Def): Parse {
    const parse = this.#parserOf(element);
    return (value) => {
      if (!Array.isArray(value)) return WRONG;
      const result = value.map(parse);
      return result.includes(WRONG) ? WRONG : result;
    };
  }

  #recordParser({ keyType, valueType }: Def): Parse {
    const [parseKey, parseValue] = [this.#parserOf(keyType), this.#parserOf(valueType)];
    return (value) => {
      if (!isPlainObject(value)) return WRONG;
      const result: Record<string, unknown> = {};
      for (const [name, entry] of Object.entries(value)) {
        const [key, data] = [parseKey(name), parseValue(entry)];
        if (key === WRONG || data === WRONG) return WRONG;
        result[key as string] = data;
      }
      return result;
    };
  }
}

/** What is looked at of a schema of zod 4. */
interface Def {
  readonly type: string;
  readonly checks?: readonly unknown[];
  readonly shape: Readonly<Record<string, z.ZodType>>;
  readonly catchall?: { readonly def: { readonly type: string } };
  readonly element: z.ZodType;
  readonly keyType: z.ZodType;
  readonly valueType: z.ZodType;
  readonly innerType: z.ZodType;
}

function isStrict({ catchall }: Def): boolean {
  return catchall?.def.type === 'never';
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

function bySchema(schema: z.ZodType): Parse {
  return (value) => {
    const result = schema.safeParse(value);
    return result.success ? result.data : WRONG;
  };
}

/** What was parsed once is known: text and numbers by value, maps and lists by identity. */
function remember(parse: Parse): Parse {
  const known = new Map<unknown, unknown>();
  return (value) => {
    const before = known.get(value);
    if (before !== undefined) return before;
    const data = parse(value);
    if (known.size < MAX_KNOWN) known.set(value, data);
    return data;
  };
}
