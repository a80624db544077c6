import { expect, test } from 'vitest';
import { titled, whyNoIsolation } from '../root/root-support.js';
import { runToEnd } from '../support/run-process.js';
import { CONTENDERS, compare } from './peers/compare.mjs';
import { ROWS } from './peers/rows.mjs';

const SCRIPT = new URL('../../scripts/bench.mjs', import.meta.url).pathname;
const QUICK = { rounds: 1, seconds: 0.05, warmUpCount: 1 };

const rouse = CONTENDERS.filter(({ name }) => name.startsWith('rouse'));

test.skipIf(whyNoIsolation)(
  titled('the comparison with peers runs'),
  async () => {
    const rows = ROWS.filter(({ name }) => name === 'http-connection');
    const [result] = await compare(rows, rouse, QUICK, () => {});
    expect(result?.contenders.map(({ name }) => name)).toEqual(['rouse native', 'rouse node']);
    for (const { answers, failures, cpuMicros } of result?.contenders ?? []) {
      expect(answers).toBeGreaterThan(0);
      expect(failures).toBe(0);
      expect(cpuMicros.median).toBeGreaterThan(0);
    }
  },
  120_000,
);

test('a row that is not there is refused, with those that are', async () => {
  const { code, stderr } = await runToEnd([
    process.execPath,
    SCRIPT,
    'peers',
    '--only',
    'tcp-keepalife',
  ]);
  expect(code).toBe(2);
  expect(stderr).toContain("no row 'tcp-keepalife'; there are: tcp-keepalive,");
});
