import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';

/** It boots a machine that has one CPU: begun last, it would be waited for. */
const LONGEST = /\/test\/vm\//;

class LongestFirst extends BaseSequencer {
  override async sort(files: Parameters<BaseSequencer['sort']>[0]) {
    const sorted = await super.sort(files);
    const isLongest = ({ moduleId }: (typeof sorted)[number]) => LONGEST.test(moduleId);
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))];
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // The tests start many processes of their own.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
