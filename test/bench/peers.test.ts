import { expect, test } from 'vitest';
import { titled, whyNoIsolation } from '../root/root-support.js';
import { runToEnd } from '../support/run-process.js';
import { compare } from './peers/compare.mjs';
import { CONTENDERS } from './peers/contenders/contenders.mjs';
import { ROWS } from './peers/rows.mjs';

const SCRIPT = new URL('../../scripts/bench.mjs', import.meta.url).pathname;
const QUICK = { rounds: 1, seconds: 0.05, warmUpCount: 1 };

interface Figures {
  readonly name: string;
  readonly fault: string | null;
  readonly answers: number;
  readonly failures: number;
  readonly figures: Readonly<Record<string, { readonly median: number }>>;
}

test.skipIf(whyNoIsolation).each([
  ['http-connection', ['rouse native', 'rouse node'], 'cpuMicros'],
  ['stdio', ['rouse native'], 'p50Micros'],
  ['cold-start', ['rouse native'], 'p50Micros'],
])(
  titled('the comparison with peers runs: %s'),
  async (name, names, metric) => {
    const rows = ROWS.filter((row) => row.name === name);
    const contenders = CONTENDERS.filter((contender) => names.includes(contender.name));
    const [result] = await compare(rows, contenders, QUICK, () => {});
    const results = (result?.contenders ?? []) as Figures[];
    expect(results.map((each) => each.name)).toEqual(names);
    for (const { fault, answers, failures, figures } of results) {
      expect(fault).toBeNull();
      expect(answers).toBeGreaterThan(0);
      expect(failures).toBe(0);
      expect(figures[metric]?.median).toBeGreaterThan(0);
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
