const OUTCOMES = { passed: 'passed', failed: 'failed' };

/**
 * Counts tests and checks together.
 * @param report vitest's JSON report; null (it broke off before it wrote one) is one failure
 * @param checks whether each check passed
 * @returns `{ passed, failed, skipped }`
 */
export function countResults(report, checks) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const isPassed of checks) counts[isPassed ? 'passed' : 'failed'] += 1;
  for (const file of report?.testResults ?? []) {
    for (const { status } of file.assertionResults) counts[OUTCOMES[status] ?? 'skipped'] += 1;
    const isBroken = file.status === 'failed';
    if (isBroken && !file.assertionResults.some(({ status }) => status === 'failed')) {
      counts.failed += 1;
    }
  }
  const isUnexplained = report?.success !== true && counts.failed === 0;
  if (report === null || isUnexplained) counts.failed += 1;
  return counts;
}
