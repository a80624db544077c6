import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renderUnit } from '../../src/app/unit-files.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { PROGRAM, runRouse } from './program.js';

test('install-units shows what it would write, and writes nothing', async () => {
  using directory = makeTemporaryDirectory();
  const place = join(directory.path, 'system');
  const { code, stdout } = await runRouse(['install-units', '--directory', place]);
  expect(code).toBe(0);
  expect(stdout).toContain(`# ${place}/rouse.service would be written`);
  expect(stdout).toContain(`ExecStart=${process.execPath} ${PROGRAM} serve`);
  expect(existsSync(place)).toBe(false);
});

test('install-units --write writes units for this installation, again without a change, and removes them', async () => {
  using directory = makeTemporaryDirectory();
  const run = (...flags: string[]) =>
    runRouse(['install-units', '--directory', directory.path, ...flags]);
  expect((await run('--write')).stdout).toContain('rouse.service: written');
  expect(readdirSync(directory.path)).toEqual(['rouse.service', 'rouse.socket', 'rouse@.service']);
  const unit = readFileSync(join(directory.path, 'rouse.service'), 'utf8');
  expect(unit).not.toContain('/usr/bin/rouse');
  expect((await run('--write')).stdout).toContain('rouse.service: was there already');
  writeFileSync(join(directory.path, 'other.service'), '');
  expect((await run('--remove')).stdout).toContain('rouse.service: removed');
  expect(readdirSync(directory.path)).toEqual(['other.service']);
});

test('a unit that somebody else wrote is neither replaced nor removed', async () => {
  using directory = makeTemporaryDirectory();
  const path = join(directory.path, 'rouse.service');
  writeFileSync(path, '[Service]\nExecStart=/opt/rouse\n');
  const run = (...flags: string[]) =>
    runRouse(['install-units', '--directory', directory.path, ...flags]);
  const { code, stderr } = await run('--write');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^rouse: .*rouse\.service was not written by rouse install-units; /);
  expect((await run('--remove')).code).toBe(0);
  expect(readFileSync(path, 'utf8')).toContain('/opt/rouse');
  expect(readdirSync(directory.path)).toEqual(['rouse.service']);
});

test('paths that systemd would read otherwise are quoted', () => {
  const unit = 'ExecStart=/usr/bin/rouse serve\nExecReload=-/usr/bin/rouse reload\n# comment\n';
  const program = ['/opt/node 20/bin/node', '/srv/100%/a"b$c/main.js'];
  const command = '"/opt/node 20/bin/node" "/srv/100%%/a\\"b$$c/main.js"';
  expect(renderUnit(unit, program).split('\n').slice(1)).toEqual([
    `ExecStart=${command} serve`,
    `ExecReload=-${command} reload`,
    '# comment',
    '',
  ]);
});
