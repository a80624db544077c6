import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProgramPaths, type Program } from '../../src/supervisor/program-paths.js';
import { parseShebang } from '../../src/supervisor/shebang.js';

let home: string;
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'rouse-programs-')));
});
afterEach(() => rmSync(home, { recursive: true }));

function file(path: string, text = ''): string {
  const full = join(home, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
  chmodSync(full, 0o755);
  return full;
}

function link(path: string, target: string): string {
  const full = join(home, path);
  mkdirSync(dirname(full), { recursive: true });
  symlinkSync(target, full);
  return full;
}

function find(path: string, options: Partial<Program> = {}) {
  const program = { path, arguments: [], directory: null, searchPath: '/usr/bin:/bin', ...options };
  const { executable, readable } = findProgramPaths(program);
  return { executable, readable: readable.map((found) => found.replace(`${home}/`, '')) };
}

describe('a program in a hidden tree', () => {
  it('outside of them needs nothing', () => {
    expect(find('/usr/bin/env').readable).toEqual([]);
    expect(find('/nowhere/at/all').readable).toEqual([]);
  });

  it('of nvm brings the version that it belongs to, and no other', () => {
    const node = file('.nvm/versions/node/v20.1.0/bin/node');
    file('.nvm/versions/node/v20.1.0/lib/node_modules/npm/index.js');
    file('.nvm/versions/node/v18.0.0/bin/node');
    expect(find(node)).toEqual({ executable: node, readable: ['.nvm/versions/node/v20.1.0'] });
  });

  it('reached through a linked folder is named where it really is', () => {
    const node = file('versions/v20/bin/node');
    file('versions/v20/lib/x');
    link('multishell', join(home, 'versions/v20'));
    const found = find(join(home, 'multishell/bin/node'));
    expect(found).toEqual({ executable: node, readable: ['versions/v20'] });
  });

  it('of a virtual environment brings the environment and the Python that made it', () => {
    file('python/cpython-3.12/bin/python3.12');
    link('python/cpython-3.12/bin/python3', 'python3.12');
    file('python/cpython-3.12/lib/os.py');
    const python = link('app/.venv/bin/python', join(home, 'python/cpython-3.12/bin/python3.12'));
    file('app/.venv/pyvenv.cfg', `home = ${home}/python/cpython-3.12/bin\nversion = 3.12\n`);
    file('app/secret');
    expect(find(python)).toEqual({
      executable: python,
      readable: ['app/.venv', 'python/cpython-3.12'],
    });
  });

  it('of a script with a shebang brings its interpreter, found with env in the PATH of the service', () => {
    const script = file('tools/hello', '#!/usr/bin/env -S FOO=1 node --no-warnings\n');
    file('node/bin/node');
    file('node/lib/x');
    const searchPath = `/usr/bin:${home}/node/bin`;
    const found = find(script, { searchPath: `${home}/node/bin` });
    expect(found).toEqual({ executable: script, readable: ['node', 'tools'] });
    const plain = file('tools/plain', `#!${home}/node/bin/node\n`);
    expect(find(plain, { searchPath }).readable).toEqual(['node', 'tools']);
  });

  it('whose shebangs go round in circles is still answered', () => {
    const one = file('one/a', `#!${home}/two/b\n`);
    file('two/b', `#!${home}/one/a\n`);
    expect(find(one).readable).toEqual(['one', 'two']);
    const loop = link('loop', 'loop');
    expect(find(loop).readable).toEqual([]);
  });

  it('of a shim brings the version manager', () => {
    const shim = file('.pyenv/shims/python', '#!/usr/bin/env bash\n');
    expect(find(shim).readable).toEqual(['.pyenv']);
  });

  it('of node_modules/.bin brings all modules', () => {
    file('app/node_modules/next/dist/bin/next', '#!/usr/bin/env node\n');
    const next = link('app/node_modules/.bin/next', '../next/dist/bin/next');
    expect(find(next).readable).toEqual(['app/node_modules']);
  });

  it('in ~/.local/bin shows nothing of the rest of ~/.local', () => {
    const tool = file('.local/bin/tool');
    file('.local/bin/other');
    file('.local/lib/python3/x.py');
    file('.local/share/keyrings/secret');
    expect(find(tool).readable).toEqual(['.local/bin/tool', '.local/lib']);
  });

  it('directly in a shared folder shows nothing of that folder', () => {
    const path = join(tmpdir(), `rouse-program-${process.pid}`);
    writeFileSync(path, '#!/bin/sh\n');
    try {
      expect(find(path).readable).toEqual([path]);
    } finally {
      rmSync(path);
    }
  });

  it('given as the argument of an interpreter brings its folder or its package', () => {
    file('app/package.json', '{"type":"module"}');
    const script = file('app/src/server.js');
    const options = { arguments: ['--enable-source-maps', script] };
    expect(find('/usr/bin/node', options).readable).toEqual(['app']);
    const python = file('tool/serve.py');
    expect(find('/usr/bin/python3', { arguments: [python] }).readable).toEqual(['tool']);
    expect(find('/usr/bin/node', { arguments: [join(home, 'missing.js')] }).readable).toEqual([]);
  });
});

describe('a directory in a hidden tree', () => {
  it('finds the modules and the manifest of the folders above it', () => {
    file('repo/node_modules/x/index.js');
    file('repo/packages/api/dist/server.js');
    file('repo/packages/api/package.json');
    file('repo/packages/api/node_modules/y/index.js');
    file('repo/package.json');
    const directory = join(home, 'repo/packages/api/dist');
    expect(find('/usr/bin/node', { directory }).readable).toEqual([
      'repo/node_modules',
      'repo/packages/api/node_modules',
      'repo/packages/api/package.json',
    ]);
  });
});

describe('a shebang', () => {
  it.each([
    ['#!/bin/sh\necho', ['/bin/sh']],
    ['#! /usr/bin/perl -w\n', ['/usr/bin/perl']],
    ['#!/usr/bin/env node', ['/usr/bin/env', 'node']],
    ['#!/usr/bin/env -S deno run --allow-net\n', ['/usr/bin/env', 'deno']],
    ['#!/usr/bin/env -Snode --x\n', ['/usr/bin/env', 'node']],
    ['#!/usr/bin/env -u HOME A=b python3\n', ['/usr/bin/env', 'python3']],
    ['#!/usr/bin/env\n', ['/usr/bin/env']],
    ['#!\n', null],
    ['\x7fELF', null],
    ['', null],
  ])('%j starts %j', (start, commands) => {
    expect(parseShebang(start)).toEqual(commands);
  });
});
