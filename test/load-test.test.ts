import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { percentile } from '../config/examples/load-test/percentile.mjs';
import { runToEnd } from './support/run-process.js';
import { makeTemporaryDirectory } from './support/temporary-directory.js';

const MAIN = fileURLToPath(new URL('../config/examples/load-test/main.mjs', import.meta.url));

test('a load on ten sleeping services starts each once, loses no request and is reported', async () => {
  using directory = makeTemporaryDirectory();
  const file = join(directory.path, 'report.json');
  const args = ['--services', '10', '--connections', '2', '--seconds', '2', '--json', file];
  const end = await runToEnd([process.execPath, MAIN, ...args]);
  expect(end).toMatchObject({ code: 0, stderr: '' });
  expect(end.stdout).toContain('cold start (wake to ready)');
  const report = JSON.parse(readFileSync(file, 'utf8'));
  expect(report.errors).toEqual({ connection: 0, timeouts: 0, non2xx: 0 });
  expect(report.services).toHaveLength(10);
  for (const service of report.services) {
    expect(service).toMatchObject({ starts: 1, coldStartMs: expect.any(Number) });
    expect(service.requests).toBeGreaterThan(0);
  }
  expect(report.coldStart.samples).toBe(10);
  expect(report.firstAnswer.samples).toBe(10);
});

test.each([
  ['--services 0', '--services 0: must be a whole number above 0'],
  ['--seconds soon', '--seconds soon: must be a whole number above 0'],
  ['--turbo', "Unknown option '--turbo'"],
])('wrong options of the load test are refused in words: %s', async (options, message) => {
  const end = await runToEnd([process.execPath, MAIN, ...options.split(' ')]);
  expect(end.code).toBe(2);
  expect(end.stderr).toContain(message);
});

test('percentiles are values that were measured', () => {
  const samples = [30, 10, 20, 40];
  expect(percentile(samples, 50)).toBe(20);
  expect(percentile(samples, 99)).toBe(40);
  expect(percentile(samples, 1)).toBe(10);
  expect(percentile([], 50)).toBeNull();
});
