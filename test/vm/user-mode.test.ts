import { expect, test } from 'vitest';
import { countResults } from '../../scripts/test/count-results.mjs';
import { prepareMachine, runMachine } from '../../scripts/test/vm/boot.mjs';

const { kernel, reason } = prepareMachine('user-mode');
const skipped = reason === null ? '' : ` (skipped: ${reason})`;

test.skipIf(reason !== null)(
  `limits hold on a kernel that has controllers for them${skipped}`,
  { timeout: 600_000 },
  async () => {
    const { report, output } = await runMachine('user-mode', kernel);
    const { passed, ...others } = countResults(report, []);
    expect(others, output).toEqual({ failed: 0, skipped: 0 });
    expect(passed).toBeGreaterThan(0);
  },
);
