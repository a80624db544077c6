// The command line of the load test: see README.md.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runLoadTest } from './load-test.mjs';

const OPTIONS = {
  services: { type: 'string', default: '10' },
  connections: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '10' },
  json: { type: 'string' },
};

function readCount(name, text) {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  console.error(`--${name} ${text}: must be a whole number above 0`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

function print(report) {
  const { coldStart, firstAnswer, requests, errors } = report;
  console.table(report.services.map(({ errors, ...row }) => ({ ...row, errors: sumOf(errors) })));
  console.table({
    'cold start (wake to ready)': coldStart,
    'first answer (as clients saw it)': firstAnswer,
  });
  console.log(`${requests.total} requests, ${requests.perSecond} a second`);
  console.log(
    `errors: ${errors.connection} connections, ${errors.timeouts} timeouts, ${errors.non2xx} not 2xx`,
  );
}

const sumOf = ({ connection, timeouts, non2xx }) => connection + timeouts + non2xx;

const { json, ...counts } = readOptions();
const settings = Object.fromEntries(
  Object.entries(counts).map(([name, text]) => [name, readCount(name, text)]),
);
const report = await runLoadTest(settings);
print(report);
if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
process.exitCode = sumOf(report.errors) > 0 ? 1 : 0;
