import { expect, test } from 'vitest';
import { countResults } from '../../scripts/test/count-results.mjs';

const file = (status: string, ...statuses: string[]) => ({
  status,
  assertionResults: statuses.map((each) => ({ status: each })),
});

test('tests and checks are counted together', () => {
  const testResults = [file('passed', 'passed', 'skipped'), file('failed', 'failed', 'todo')];
  const counts = countResults({ success: false, testResults }, [true, false, true]);
  expect(counts).toEqual({ passed: 3, failed: 2, skipped: 2 });
});

test('a test file that broke off before its first test is a failure', () => {
  const counts = countResults({ success: false, testResults: [file('failed')] }, []);
  expect(counts.failed).toBe(1);
});

test('no report at all is a failure', () => {
  expect(countResults(null, [true])).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test('an error outside of all tests is a failure', () => {
  const counts = countResults({ success: false, testResults: [file('passed', 'passed')] }, []);
  expect(counts).toEqual({ passed: 1, failed: 1, skipped: 0 });
});
