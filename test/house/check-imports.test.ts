import { expect, test } from 'vitest';
import { findSpecifiers, findViolations } from '../../scripts/check-imports.mjs';

test('imports downwards and inside a folder are fine', () => {
  const text = `
    import { a } from '../sys/a.js';
    import type { B } from '../config/b.js';
    export { c } from './c.js';
    import net from 'node:net';
    const manifest = new URL('../../package.json', import.meta.url);
    // import { x } from '../app/x.js';
    /* import '../app/y.js'; */`;
  expect(findViolations([['gateway/one.ts', text]])).toEqual([]);
});

test.each([
  [
    'gateway/one.ts',
    `import { a } from '../supervisor/a.js';`,
    'gateway may not import from supervisor',
  ],
  ['base/one.ts', `import type { A } from '../config/a.js';`, 'base may not import from config'],
  ['config/one.ts', `export * from '../sys/a.js';`, 'config may not import from sys'],
  ['ipc/one.ts', `await import('../app/a.js');`, 'ipc may not import from app'],
  [
    'admin/deep/one.ts',
    `import {\n  a,\n  b,\n} from '../../gateway/a.js';`,
    'admin may not import from gateway',
  ],
  [
    'sys/one.ts',
    `new Worker(new URL('../gateway/a.js', import.meta.url));`,
    'sys may not import from gateway',
  ],
  ['app/one.ts', `import '../tools/a.js';`, 'tools has no place in the order'],
  ['app/one.ts', `import x from '../../test/a.js';`, 'it leads out of src'],
  ['gateway/one.ts', `import koffi from 'koffi';`, 'only sys imports koffi'],
  ['elsewhere/one.ts', '', 'its folder has no place in the order'],
])('an import against the order is named: %s, %s', (path, text, fault) => {
  const violations = findViolations([[path, text]]);
  expect(violations).toHaveLength(1);
  expect(violations[0]).toContain(fault);
});

test('every form of import is seen', () => {
  const text = `import a from 'a';import 'b'; export { c } from "c";
    const d = await import('d');
    import type { E } from 'e';
    import * as f
      from 'f';`;
  expect(findSpecifiers(text).sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
});
