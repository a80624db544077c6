import { defineConfig } from 'vitest/config';

const TIMEOUT_MS = 5 * Number(process.env.TEST_PATIENCE_MS);

/** For the tests that run within a virtual machine (guest-init.sh). */
export default defineConfig({
  test: {
    include: ['test/vm/guest/*.guest.ts'],
    reporters: ['verbose', 'json'],
    fileParallelism: false,
    testTimeout: TIMEOUT_MS,
    hookTimeout: TIMEOUT_MS,
    cache: false,
  },
});
