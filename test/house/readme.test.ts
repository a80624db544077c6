import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { MANUALS } from '../../src/app/manual.js';
import { ERROR_TABLE } from '../../src/base/errors.js';
import { REFUSALS } from '../../src/ipc/refusals.js';
import { runToEnd } from '../support/run-process.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const README = readFileSync(`${ROOT}README.md`, 'utf8');

const rows = README.split('\n').filter((line) => line.startsWith('| `'));

test('the README tells every error and every refusal as the tables have them', () => {
  const errors = Object.entries(ERROR_TABLE).map(
    ([code, { exitCode, meaning }]) => `| \`${code}\` | ${exitCode} | ${meaning} |`,
  );
  const refusals = Object.entries(REFUSALS).map(
    ([code, { status, sentence }]) => `| \`${code}\` | ${status} | ${sentence} |`,
  );
  expect(rows).toEqual(expect.arrayContaining([...errors, ...refusals]));
});

test('the README tells of every command, and of none that is not there', () => {
  const told = rows.flatMap((row) => row.match(/^\| `rouse ([\w-]+)/)?.[1] ?? []);
  expect(told.sort()).toEqual(
    Object.keys(MANUALS)
      .filter((name) => name !== 'version')
      .sort(),
  );
});

test('the configuration in the README works as it is', async () => {
  const [, yaml = ''] = README.match(/```yaml\n([\s\S]*?)```/) ?? [];
  expect(yaml).toContain('listeners:');
  const file = `${ROOT}.rouse-readme-${process.pid}.yaml`;
  writeFileSync(file, yaml);
  onTestFinished(() => rmSync(file));
  const command = [process.execPath, `${ROOT}dist/app/main.js`, 'check', '-c', file];
  expect(await runToEnd(command)).toMatchObject({ code: 0, stderr: '' });
});

test('every file that the README links to is there', () => {
  const links = [...README.matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, path]) => path);
  expect(links.length).toBeGreaterThan(0);
  for (const link of links) expect(() => readFileSync(`${ROOT}${link}`), link).not.toThrow();
});
