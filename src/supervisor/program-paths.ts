import { closeSync, openSync, readSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { findCommand } from '../config/find-command.js';
import { hiddenTreesOf, hostFiles, isFile, isWithin } from './host-files.js';
import { parseShebang } from './shebang.js';

export interface ProgramPaths {
  /** What to execute in the VPS: the program's name in its real directory, itself perhaps a symlink. */
  readonly executable: string;
  /** Paths in hidden trees that the program needs; to be bound read-only at the same places. */
  readonly readable: readonly string[];
}

export interface Program {
  /** Absolute, as the command look-up found it. */
  readonly path: string;
  /** The rest of the command: a script that an interpreter is given first needs its directory too. */
  readonly arguments: readonly string[];
  readonly directory: string | null;
  /** The service's PATH, in which `#!/usr/bin/env node` is looked up. */
  readonly searchPath: string;
}

const HIDDEN_TREES = hiddenTreesOf(hostFiles).map(({ path }) => path);
const MAX_SYMLINKS = 16;
const MAX_INTERPRETERS = 4;
/** The kernel reads no more of a first line (BINPRM_BUF_SIZE, execve(2)). */
const SHEBANG_BYTES = 256;
const MAX_CONFIG_BYTES = 64 * 1024;

const BINARY_FOLDERS = new Set(['bin', 'sbin', 'libexec']);
const INSTALL_MARKS = ['lib', 'lib64', 'libexec', 'pyvenv.cfg'];
/** Their shims are scripts or one binary that look up the real program under the manager's root. */
const VERSION_MANAGER =
  /^(.*\/(?:\.pyenv|\.rbenv|\.nodenv|\.goenv|\.jenv|\.plenv|\.phpenv|\.asdf|\.volta|mise))\/(?:shims|bin)\//;

/**
 * What a VPS must bind so that a program runs there although it lives in a hidden tree: every
 * symlink hop and the install that it belongs to (nvm, pyenv, virtual environments), interpreters
 * named by shebangs, a script's package, and `node_modules` of the folders above. Reads the host's
 * files; what doesn't exist is left out, and the start then says so.
 */
export function findProgramPaths(program: Program): ProgramPaths {
  const readable = new Set<string>();
  const chain = followSymlinks(program.path);
  addProgram(chain, program, readable, MAX_INTERPRETERS);
  addScriptArgument(program, readable);
  if (program.directory !== null) addProject(hostFiles.realpath(program.directory), readable);
  return { executable: chain[0] ?? program.path, readable: withoutNested(readable) };
}

function addProgram(
  chain: readonly string[],
  program: Program,
  readable: Set<string>,
  interpretersLeft: number,
): void {
  for (const hop of chain) addInstall(hop, readable);
  const file = chain.at(-1);
  if (file === undefined || interpretersLeft === 0) return;
  const commands = parseShebang(readStart(file, SHEBANG_BYTES)) ?? [];
  if (commands.some(isJavaScriptRuntime)) addPackage(file, readable);
  const { searchPath, directory } = program;
  for (const command of commands) {
    const interpreter = findCommand(command, searchPath, directory);
    if (interpreter === null) continue;
    addProgram(followSymlinks(interpreter), program, readable, interpretersLeft - 1);
  }
}

/**
 * The hops from a path to the file itself, each with a real directory: so that a relative symlink
 * means in the VPS what it means outside.
 */
function followSymlinks(path: string): string[] {
  const hops: string[] = [];
  let current: string | null = path;
  while (current !== null && hops.length < MAX_SYMLINKS) {
    const hop: string = join(hostFiles.realpath(dirname(current)), basename(current));
    hops.push(hop);
    const target = hostFiles.readlink(hop);
    current = target === null ? null : resolve(dirname(hop), target);
  }
  return hops;
}

/** The install that an executable belongs to, as narrow as it can be told from outside. */
function addInstall(file: string, readable: Set<string>): void {
  if (!isHidden(file) || !hostFiles.exists(file)) return;
  const modules = outermostNodeModules(file);
  const manager = VERSION_MANAGER.exec(file)?.[1];
  if (modules !== null) {
    readable.add(modules);
    addProject(dirname(modules), readable);
  } else if (manager !== undefined) readable.add(manager);
  else addPrefix(file, readable);
}

function addPrefix(file: string, readable: Set<string>): void {
  const folder = dirname(file);
  const prefix = dirname(folder);
  const marks = INSTALL_MARKS.map((mark) => join(prefix, mark)).filter(hostFiles.exists);
  if (!BINARY_FOLDERS.has(basename(folder)) || marks.length === 0) {
    readable.add(isShared(folder) ? file : folder);
  } else if (isShared(prefix)) {
    readable.add(file);
    for (const mark of marks) readable.add(mark);
  } else {
    readable.add(prefix);
    addVirtualEnvironmentHome(prefix, readable);
  }
}

/** A virtual environment borrows the standard library of the Python that made it (PEP 405). */
function addVirtualEnvironmentHome(prefix: string, readable: Set<string>): void {
  const text = readStart(join(prefix, 'pyvenv.cfg'), MAX_CONFIG_BYTES);
  const home = /^\s*home\s*=\s*(\/.*?)\s*$/m.exec(text)?.[1];
  if (home === undefined || home === dirname(prefix)) return;
  for (const hop of followSymlinks(join(home, 'python3'))) addInstall(hop, readable);
}

/** `node /srv/app/server.js`: the interpreter's first plain argument, where it is an absolute file. */
function addScriptArgument(program: Program, readable: Set<string>): void {
  const script = program.arguments.find((argument) => !argument.startsWith('-'));
  if (script === undefined || !isAbsolute(script) || !isFile(script)) return;
  for (const hop of followSymlinks(script)) {
    if (isHidden(hop)) readable.add(isShared(dirname(hop)) ? hop : dirname(hop));
    if (isJavaScriptRuntime(program.path)) addPackage(hop, readable);
  }
}

function isJavaScriptRuntime(command: string): boolean {
  return /^(?:node|nodejs|bun|deno|tsx|ts-node)$/.test(basename(command));
}

/** A script imports from the package that it is part of, not from its own folder alone. */
function addPackage(file: string, readable: Set<string>): void {
  if (!isHidden(file) || outermostNodeModules(file) !== null) return;
  const packageRoot = ancestors(dirname(file)).find((folder) =>
    hostFiles.exists(join(folder, 'package.json')),
  );
  if (packageRoot !== undefined && !isShared(packageRoot)) readable.add(packageRoot);
  addProject(dirname(file), readable);
}

/** Where Node looks from a folder upwards: every `node_modules`, and the nearest package.json. */
function addProject(directory: string, readable: Set<string>): void {
  if (!isHidden(directory)) return;
  const folders = ancestors(directory);
  for (const folder of folders) {
    const modules = join(folder, 'node_modules');
    if (hostFiles.isDirectory(modules)) readable.add(modules);
  }
  const manifest = folders.map((folder) => join(folder, 'package.json')).find(hostFiles.exists);
  if (manifest !== undefined) readable.add(manifest);
}

/** The folder and those above it, as far as they are in a hidden tree. */
function ancestors(directory: string): string[] {
  const folders: string[] = [];
  for (let folder = directory; isHidden(folder); folder = dirname(folder)) folders.push(folder);
  return folders;
}

function outermostNodeModules(path: string): string | null {
  return /^.*?\/node_modules(?=\/)/.exec(path)?.[0] ?? null;
}

function isHidden(path: string): boolean {
  return HIDDEN_TREES.some((tree) => isWithin(path, tree));
}

/** Folders that hold more than one program: binding them whole would show what isn't meant. */
function isShared(folder: string): boolean {
  return (
    HIDDEN_TREES.some((tree) => isWithin(tree, folder)) ||
    dirname(folder) === '/home' ||
    dirname(folder) === '/run/user' ||
    basename(folder) === '.local'
  );
}

function withoutNested(paths: ReadonlySet<string>): string[] {
  const sorted = [...paths].toSorted();
  return sorted.filter((path) => !sorted.some((other) => other !== path && isWithin(path, other)));
}

/** The start of a file as text; empty where it can't be read. */
function readStart(path: string, limitBytes: number): string {
  if (!isFile(path)) return '';
  try {
    const fd = openSync(path, 'r');
    try {
      const buffer = Buffer.alloc(limitBytes);
      return buffer.toString('latin1', 0, readSync(fd, buffer, 0, limitBytes, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}
