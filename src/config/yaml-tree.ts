import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import type { Marks, Source } from './source.js';
import { readPlainYaml } from './yaml-plain.js';
import { resolvePlainScalar } from './yaml-scalar.js';

export interface YamlProblem {
  readonly message: string;
  readonly offset: number;
  /** The other side, where the same key stands twice. */
  readonly relatedOffset?: number;
}

/** What a file says, or what is wrong with it as YAML. */
export type YamlResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problems: readonly YamlProblem[] };

/** What aliases may add in all; more is taken for an attack ("billion laughs"). */
const MAX_ALIASED_NODES = 100_000;
const MAX_DEPTH = 100;
const TOO_DEEP = 'maps and lists are nested too deep';
// Loaded when it is needed: most configurations are plain.
const require = createRequire(import.meta.url);
let loaded: typeof Yaml | null = null;
function yaml(): typeof Yaml {
  loaded ??= require('yaml') as typeof Yaml;
  return loaded;
}

const CORE_TAG = /^(?:tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)|!)$/;

/**
 * Reads YAML 1.2 and marks where every entry stands. Plain files take the short way, which is 20
 * times as fast; whatever that doesn't know, and every error, goes to the `yaml` package. `isLean`:
 * see `readPlainYaml`.
 */
export function readYaml(source: Source, marks: Marks, isLean = false): YamlResult {
  const plain = readPlainYaml(source, marks, isLean);
  return plain === null ? readAnyYaml(source, marks) : { ok: true, value: plain.value };
}

/** As {@link readYaml}, always by the `yaml` package. */
export function readAnyYaml(source: Source, marks: Marks): YamlResult {
  try {
    const document = yaml().parseDocument(source.text, {
      version: '1.2',
      schema: 'core',
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'error',
    });
    const faults = [...document.errors, ...document.warnings];
    if (faults.length > 0) return { ok: false, problems: describeFaults(faults) };
    const reader = new TreeReader(source, marks);
    const value = reader.read(document.contents, 0);
    return reader.problems.length > 0
      ? { ok: false, problems: reader.problems }
      : { ok: true, value };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { ok: false, problems: [{ message: `YAML: ${TOO_DEEP}`, offset: 0 }] };
  }
}

function describeFaults(faults: readonly Yaml.YAMLError[]): YamlProblem[] {
  // The parser runs out of stack and takes that for a fault of the text, several times.
  const tooDeep = faults.find(({ message }) => message.includes('call stack'));
  if (tooDeep !== undefined) return [{ message: `YAML: ${TOO_DEEP}`, offset: tooDeep.pos[0] }];
  return faults.map(({ code, message, pos }) => {
    const text = code === 'MULTIPLE_DOCS' ? 'only one YAML document is allowed' : message;
    return { message: `YAML: ${text.replaceAll('\n', ' ')}`, offset: pos[0] };
  });
}

class TreeReader {
  readonly problems: YamlProblem[] = [];
  #anchors = new Map<string, unknown>();
  #open = new Set<unknown>();
  #aliasDepth = 0;
  #aliasedNodes = 0;

  constructor(
    private readonly source: Source,
    private readonly marks: Marks,
  ) {}

  read(node: unknown, depth: number): unknown {
    if (node === null || node === undefined) return null;
    if (yaml().isAlias(node)) return this.#readAlias(node.source, offsetOf(node), depth);
    if (this.#aliasDepth > 0) this.#aliasedNodes += 1;
    if (this.#aliasedNodes > MAX_ALIASED_NODES || depth > MAX_DEPTH) {
      return this.#fail(`${TOO_DEEP}, or aliases repeat too much`, node);
    }
    const { anchor, tag } = node as { anchor?: string; tag?: string };
    if (tag !== undefined && !CORE_TAG.test(tag))
      return this.#fail(`the tag ${tag} is not supported`, node);
    if (anchor !== undefined) this.#anchors.set(anchor, node);
    if (yaml().isScalar(node)) return scalarValue(node);
    this.#open.add(node);
    const value = yaml().isSeq(node)
      ? this.#readList(node.items, depth)
      : this.#readMap(node, depth);
    this.#open.delete(node);
    return value;
  }

  #readAlias(name: string, offset: number, depth: number): unknown {
    const target = this.#anchors.get(name);
    if (target === undefined || this.#open.has(target)) {
      const why = target === undefined ? 'names no anchor before it' : 'contains itself';
      this.problems.push({ message: `YAML: the alias *${name} ${why}`, offset });
      return null;
    }
    this.#aliasDepth += 1;
    const value = this.read(target, depth);
    this.#aliasDepth -= 1;
    return value;
  }

  #readList(items: readonly unknown[], depth: number): unknown[] {
    const list: unknown[] = [];
    for (const [index, item] of items.entries()) {
      const offset = offsetOf(item);
      this.marks.set(list, index, this.source, offset, offset);
      list.push(this.read(item, depth + 1));
    }
    return list;
  }

  #readMap(node: unknown, depth: number): unknown {
    const map: Record<string, unknown> = {};
    if (!yaml().isMap(node)) return this.#fail('this is no map', node);
    for (const { key, value } of node.items) {
      const name = this.#readKey(key);
      if (name === null) continue;
      const keyOffset = offsetOf(key);
      if (Object.hasOwn(map, name)) {
        const relatedOffset = this.marks.get(map, name)?.keyOffset;
        this.problems.push({
          message: `YAML: the key "${name}" stands here twice`,
          offset: keyOffset,
          relatedOffset,
        });
        continue;
      }
      const valueOffset = isAbsent(value) ? keyOffset : offsetOf(value);
      this.marks.set(map, name, this.source, keyOffset, valueOffset);
      map[name] = this.read(value, depth + 1);
    }
    return map;
  }

  #readKey(key: unknown): string | null {
    const name = yaml().isScalar(key) ? (key.source ?? String(key.value)) : null;
    if (name !== null && name !== '__proto__') return name;
    this.#fail(name === null ? 'a key must be text' : 'this key is not allowed', key);
    return null;
  }

  #fail(message: string, node: unknown): null {
    if (this.problems.length < 100) {
      this.problems.push({ message: `YAML: ${message}`, offset: offsetOf(node) });
    }
    return null;
  }
}

function scalarValue(node: Yaml.Scalar): unknown {
  const isPlain = node.type === yaml().Scalar.PLAIN && node.tag === undefined;
  return isPlain ? resolvePlainScalar(node.source ?? '') : node.value;
}

/** `key:` with nothing behind it. */
function isAbsent(value: unknown): boolean {
  return (
    value === null ||
    (yaml().isScalar(value) && value.source === '' && value.type === yaml().Scalar.PLAIN)
  );
}

function offsetOf(node: unknown): number {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0] ?? 0;
}
