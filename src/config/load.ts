import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import type * as z from 'zod';
import { checkRoutes, warnUnreachable } from './check-routes.js';
import { describeIssues } from './issues.js';
import { LoadContext } from './load-context.js';
import { isMap, mergeDefaults } from './merge-defaults.js';
import type { Config, Listener, Service } from './model.js';
import { type ConfigProblem, compareProblems, type KeyPath, type Position } from './problem.js';
import { type ReadOptions, readFiles, readIncludes, TooLarge } from './read-files.js';
import { resolveGateways } from './resolve-gateways.js';
import { checkAddressConflicts, resolveListener, resolveUnixPath } from './resolve-listener.js';
import { resolveService } from './resolve-service.js';
import { gateway, type TopLevelShape, topLevel } from './schema/config.js';
import { listener } from './schema/listener.js';
import { type ServiceShape, service } from './schema/service.js';
import { shareParts } from './share-parts.js';
import { Marks } from './source.js';
import { didYouMean } from './suggest.js';

export type LoadResult =
  | {
      readonly ok: true;
      readonly config: Config;
      readonly warnings: readonly ConfigProblem[];
    }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

export type LocatedResult =
  /** `locate` holds on to the whole text: not to be kept. */
  | (Extract<LoadResult, { ok: true }> & { readonly locate: Locate })
  | Extract<LoadResult, { ok: false }>;

/** The position of a key's value, or of the nearest key above it that stands in a file. */
export type Locate = (path: KeyPath) => Position;

/**
 * Reads, checks and fills in a configuration with all that it includes; never throws for what is in
 * it. Where each key of a service stands is only found out when something is wrong with one: that
 * takes a second reading.
 */
export function loadConfig(file: string): LoadResult {
  const { context, result } = load(file, { isLean: true });
  return context.isVague ? load(file, {}).result : result;
}

/** As {@link loadConfig}; null where it has more than so many bytes, with all that it includes. */
export function loadSmallConfig(file: string, limitBytes: number): LoadResult | null {
  try {
    const { context, result } = load(file, { isLean: true, limitBytes });
    return context.isVague ? load(file, {}).result : result;
  } catch (error) {
    if (error instanceof TooLarge) return null;
    throw error;
  }
}

/** As {@link loadConfig}, with a way to find out where a key stands. */
export function loadLocatedConfig(file: string): LocatedResult {
  const { context, result } = load(file, {});
  return result.ok ? { ...result, locate: (path) => context.position(path) } : result;
}

function load(file: string, options: ReadOptions): { context: LoadContext; result: LoadResult } {
  const context = new LoadContext(new Marks(), file, dirname(resolve(file)));
  context.root = readFiles(file, context, options);
  return { context, result: finish(context, resolve(file), options.isLean) };
}

/** As {@link loadConfig}, from an object of the same form; relative paths count from `baseDirectory`. */
export function configFromObject(value: unknown, baseDirectory: string): LoadResult {
  const context = new LoadContext(new Marks(), '<object>', baseDirectory);
  if (!isMap(value)) context.problem([], 'expected a map of keys at the top');
  else context.root = readIncludes(value, baseDirectory, context.marks, context.problems);
  return finish(context, null);
}

function finish(context: LoadContext, file: string | null, isLean = false): LoadResult {
  const config = buildConfig(context, file, isLean);
  if (config === null || context.problems.length > 0) {
    return { ok: false, problems: context.problems.sort(compareProblems) };
  }
  return { ok: true, config, warnings: context.warnings.sort(compareProblems) };
}

/** Entry by entry; then, of the entries with the right shape, what they mean together. */
function buildConfig(context: LoadContext, file: string | null, isLean: boolean): Config | null {
  const areFilesRight = context.problems.length === 0;
  const top = parse(topLevel, context.root, [], context);
  const defaults = context.root.defaults;
  const areDefaultsRight =
    defaults === undefined || parse(service, defaults, ['defaults'], context) !== null;
  const listenerShapes = parseEntries(listener, 'listeners', context);
  const gatewayShapes = parseEntries(gateway, 'gateways', context);
  if (areDefaultsRight) addDefaults(defaults, context);
  if (isLean) shareParts(context.root);
  const isUsable = top !== null && areDefaultsRight && areFilesRight;
  const services = readServices(context, isUsable);
  if (!isUsable) return null;

  const metrics = resolveMetrics(top, context);
  const byName = new Map<string, Listener>();
  for (const [name, shape] of listenerShapes) {
    byName.set(name, resolveListener(name, shape, top.trusted_proxies, context));
  }
  checkAddressConflicts(byName.values(), metrics?.address ?? null, context);
  const names = new Set(Object.keys(top.listeners));
  checkRoutes(services, { byName, names }, context);
  const areGatewaysRight = gatewayShapes.size === Object.keys(top.gateways ?? {}).length;
  const declared = top.gateways === undefined ? null : gatewayShapes;
  const gateways = areGatewaysRight ? resolveGateways(declared, names, context) : [];
  if (context.problems.length > 0) return null;
  const listeners = [...byName.values()];
  warnUnreachable(services, listeners, context);
  return { file, listeners, services, gateways, ...resolveTop(top), metrics };
}

function resolveTop(top: TopLevelShape) {
  return {
    enforce: top.enforce,
    startParallel: top.start_parallel ?? 2 * availableParallelism(),
    drainTimeoutMs: top.drain_timeout,
    upgradeTimeoutMs: top.upgrade_timeout,
    log: top.log,
    admin: { group: top.admin.group ?? null },
  };
}

function resolveMetrics(top: TopLevelShape, context: LoadContext): Config['metrics'] {
  const [first, ...more] = top.metrics?.address ?? [];
  const path = ['metrics', 'address'];
  if (more.length > 0) context.problem(path, 'only one port');
  return first === undefined ? null : { address: resolveUnixPath(path, first, context) };
}

function parse<T extends z.ZodType>(
  schema: T,
  value: unknown,
  path: KeyPath,
  context: LoadContext,
): z.output<T> | null {
  const parsed = context.parser.parse(schema, value);
  if (parsed !== null) return parsed.data;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const finding of describeIssues(schema, value, result.error.issues)) {
    context.problem([...path, ...finding.path], finding.message, { at: finding.at });
  }
  return null;
}

/** The entries of a top-level map that have the right shape. */
function parseEntries<T extends z.ZodType>(
  schema: T,
  name: string,
  context: LoadContext,
): Map<string, z.output<T>> {
  const entries = context.root[name];
  const parsed = new Map<string, z.output<T>>();
  if (!isMap(entries)) return parsed;
  for (const [entry, value] of Object.entries(entries)) {
    const shape = parse(schema, value, [name, entry], context);
    if (shape !== null) parsed.set(entry, shape);
  }
  return parsed;
}

function addDefaults(defaults: unknown, { root, marks }: LoadContext): void {
  const { services } = root;
  if (defaults === undefined || !isMap(services)) return;
  const merged: Record<string, unknown> = {};
  for (const [name, own] of Object.entries(services)) {
    merged[name] = mergeDefaults(defaults, own, marks);
    marks.copy(services, merged, name);
  }
  root.services = merged;
}

/** The services with the right shape, one after the other: of ten thousand no two shapes are there at once. */
function readServices(context: LoadContext, isUsable: boolean): Service[] {
  const entries = context.root.services;
  if (!isMap(entries)) return [];
  const names = new Set(Object.keys(entries));
  const services: Service[] = [];
  for (const [name, value] of Object.entries(entries)) {
    const shape = parse(service, value, ['services', name], context);
    if (shape === null || !isUsable) continue;
    checkReached(name, shape, names, context);
    const resolved = resolveService(name, shape, context);
    if (resolved !== null) services.push(resolved);
  }
  return services;
}

function checkReached(
  name: string,
  { reach }: ServiceShape,
  names: ReadonlySet<string>,
  context: LoadContext,
): void {
  for (const target of Object.keys(reach)) {
    if (names.has(target)) continue;
    const message = `there is no service "${target}"${didYouMean(target, names)}`;
    context.problem(['services', name, 'reach', target], message, { at: 'key' });
  }
}
