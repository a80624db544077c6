import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Machine, titled, whyNoSystemd } from './machine.js';

const readUnit = (name: string) =>
  readFileSync(new URL(`../../systemd/${name}`, import.meta.url), 'utf8');
const unit = readUnit('rouse.service');

/** Without comments and empty lines. */
const directivesOf = (text: string) =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

test('an instance has all that rouse.service has, with a configuration and directories of its own', () => {
  const expected = directivesOf(unit).map((line) =>
    line
      .replace('/etc/rouse/rouse.yaml', '/etc/rouse/%i.yaml')
      .replace(/^(RuntimeDirectory|StateDirectory)=rouse$/, '$1=rouse-%i')
      .replace(/^(Description=.*)$/, '$1 (%i)'),
  );
  expect(directivesOf(readUnit('rouse@.service'))).toEqual(expected);
});

interface Finding {
  readonly set: boolean | null;
  readonly name: string;
  readonly exposure: string | null;
}

describe.skipIf(whyNoSystemd !== null)(titled('systemd'), () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await Machine.boot();
  });
  afterAll(() => machine?.[Symbol.asyncDispose]());

  test('finds no fault in the units', async () => {
    const units = ['rouse.service', 'rouse@edge.service', 'rouse.socket'];
    const { stdout, stderr } = await machine.run(
      `systemd-analyze verify --man=no ${units.join(' ')}`,
    );
    expect(stdout + stderr).toBe('');
  });

  test('finds them exposed as little as they say', async () => {
    const [, said = ''] = /systemd-analyze security says ([\d.]+)/.exec(unit) ?? [];
    for (const name of ['rouse.service', 'rouse@edge.service']) {
      const report = await machine.check(`systemd-analyze security --no-pager ${name}`);
      expect(/exposure level for \S+: ([\d.]+)/.exec(report)?.[1]).toBe(said);
    }
  });

  test('misses no protection of which the unit does not say why', async () => {
    const json = await machine.check('systemd-analyze security --json=short rouse.service');
    const missing = (JSON.parse(json) as Finding[]).filter(({ set }) => set !== true);
    const unexplained = missing.filter(({ name }) => {
      const [directive = ''] = name.split('=');
      return !unit.includes(`${directive}=`);
    });
    expect(unexplained).toEqual([]);
    expect(missing.length).toBeGreaterThan(10);
  });
});
