// npm run bench -- [CASE…] [--rounds N] [--seconds N] [--json FILE]: measures rouse against the same
// servers without it, in alternating rounds; prints tables, and writes JSON.
// npm run bench -- peers [OPTION…]: rouse beside HAProxy, nginx and others; --help tells more.
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { COLD_START_CASES, THROUGHPUT_CASES } from '../test/bench/cases.mjs';
import { comparePeers } from './bench/peers.mjs';
import { renderColdStart, renderThroughput } from './bench/render.mjs';
import { build, isBuilt } from './prepare/build.mjs';
import { ensureDebianPackages } from './prepare/debian-packages.mjs';
import { ensureNodeModules } from './prepare/node-modules.mjs';
import { requirePlatform } from './prepare/platform.mjs';
import { giveUp, say } from './prepare/say.mjs';

const WRONG_USAGE = 2;
const CASES = [...THROUGHPUT_CASES, ...COLD_START_CASES].map(({ name }) => name);
const OPTIONS = {
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '2' },
  json: { type: 'string' },
};

function refuse(text) {
  console.error(`bench: ${text}`);
  process.exit(WRONG_USAGE);
}

function readNumber(name, text) {
  const number = Number(text);
  return number > 0 ? number : refuse(`--${name} ${text}: must be a number above 0`);
}

function parse() {
  try {
    return parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (error) {
    return refuse(error.message);
  }
}

function readOptions() {
  const { values, positionals } = parse();
  const unknown = positionals.find((name) => !CASES.includes(name));
  if (unknown !== undefined) refuse(`unknown case '${unknown}'; there are: ${CASES.join(', ')}`);
  return {
    names: positionals.length > 0 ? positionals : CASES,
    rounds: Math.ceil(readNumber('rounds', values.rounds)),
    seconds: readNumber('seconds', values.seconds),
    json: values.json,
  };
}

function prepare() {
  requirePlatform();
  ensureNodeModules();
  if (isBuilt()) return;
  say('building (tsc)');
  const faults = build();
  if (faults !== '') giveUp(faults);
}

async function compareDirectly() {
  const options = readOptions();
  ensureDebianPackages(['bubblewrap', 'perl']);
  prepare();
  const { runThroughput } = await import('../test/bench/throughput.mjs');
  const { runColdStart } = await import('../test/bench/cold-start.mjs');
  const throughput = await runThroughput(options, say);
  const coldStart = await runColdStart(options, say);
  say();
  if (throughput.length > 0) say(renderThroughput(throughput));
  if (coldStart.length > 0) say(renderColdStart(coldStart));
  const machine = { node: process.version, cpus: cpus().length, model: cpus()[0]?.model ?? null };
  const { rounds, seconds } = options;
  const report = { machine, rounds, seconds, throughput, coldStart };
  if (options.json === undefined) say(JSON.stringify(report));
  else writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}

const [first, ...rest] = process.argv.slice(2);
if (first === 'peers') await comparePeers(rest, prepare);
else await compareDirectly();
