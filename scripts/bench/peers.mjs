// npm run bench -- peers: rouse beside HAProxy, nginx and others, on one backend.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { ROWS } from '../../test/bench/peers/rows.mjs';
import { hasCommand } from '../prepare/debian-packages.mjs';
import { say } from '../prepare/say.mjs';
import { describeMachine } from './machine.mjs';
import { placeInMarkdown, renderMarkdown } from './markdown-peers.mjs';
import { renderPeers } from './render-peers.mjs';

const WRONG_USAGE = 2;
const QUICK = { rounds: '2', seconds: '0.5', 'warm-up': '2000' };
const OPTIONS = {
  only: { type: 'string' },
  contenders: { type: 'string' },
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  'warm-up': { type: 'string', default: '20000' },
  quick: { type: 'boolean', default: false },
  json: { type: 'string' },
  markdown: { type: 'string' },
  from: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
};

const HELP = `usage: npm run bench -- peers [options]

Measures what rouse and others take of the processor for the same work: all of them on one backend,
in alternating rounds, every answer compared. It installs nothing; what is missing is left out.

  --only ROW,…         these rows; without it all
  --contenders NAME,…  these only; the first one is what the others are compared with
  --rounds N           rounds that count (${OPTIONS.rounds.default})
  --seconds N          for each contender in a round (${OPTIONS.seconds.default})
  --warm-up N          requests to each before, at least (${OPTIONS['warm-up'].default})
  --quick              ${QUICK.rounds} rounds of ${QUICK.seconds} seconds: for a first look
  --json FILE          writes all figures
  --markdown FILE      puts the table of the README between its marks in FILE
  --from FILE          takes the figures of an earlier --json instead of measuring
  --help               this

rows:
${ROWS.map(({ name, title }) => `  ${name.padEnd(20)} ${title}`).join('\n')}
`;

function refuse(text) {
  process.stderr.write(`bench: ${text}\n`);
  process.exit(WRONG_USAGE);
}

function parse(args) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    return refuse(error.message);
  }
}

function readNumber(name, text) {
  const number = Number(text);
  return number > 0 ? number : refuse(`--${name} ${text}: must be a number above 0`);
}

/** Of a list with commas the things of these names, in their own order. */
function choose(text, things, what) {
  if (text === undefined) return things;
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((wanted) => !things.some(({ name }) => name === wanted));
  if (unknown !== undefined) {
    refuse(`no ${what} '${unknown}'; there are: ${things.map(({ name }) => name).join(', ')}`);
  }
  return things.filter(({ name }) => names.includes(name));
}

function readOptions(args) {
  const values = parse(args);
  const given = values.quick ? { ...values, ...QUICK } : values;
  return {
    ...given,
    rounds: Math.ceil(readNumber('rounds', given.rounds)),
    seconds: readNumber('seconds', given.seconds),
    warmUpCount: readNumber('warm-up', given['warm-up']),
    rows: choose(given.only, ROWS, 'row'),
  };
}

const isInstalled = (program) =>
  program.startsWith('/') ? existsSync(program) : hasCommand(program);

const isComplete = ({ program, isComplete: hasModules = () => true }) =>
  isInstalled(program) && hasModules();

function reportMissing(missing) {
  if (missing.length === 0) return;
  const packages = [...new Set(missing.flatMap((contender) => contender.packages))].join(' ');
  const names = missing.map(({ name }) => name).join(', ');
  say(`not installed: ${names}; to measure them too: sudo apt-get install ${packages}`);
}

/** However it ends, nothing that was started stays. */
function stopOnSignals(stop) {
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ]) {
    process.once(signal, () => stop().finally(() => process.exit(128 + number)));
  }
}

/** The first thing that looks like a version in what a program says of itself; null: nothing does. */
function readVersion({ program, versionFlag }) {
  if (versionFlag === undefined) return null;
  try {
    const command = `'${program}' ${versionFlag} 2>&1`;
    const text = execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8' });
    return /\d+(\.\d+)+|\b\d{3}\b/.exec(text)?.[0] ?? null;
  } catch {
    return null;
  }
}

const readVersions = (contenders) =>
  Object.fromEntries(
    contenders.flatMap((contender) => {
      const version = readVersion(contender);
      return version === null ? [] : [[contender.name, version]];
    }),
  );

async function measure(options, prepare) {
  if (process.getuid() !== 0) refuse('peers must be run by root: backends go into VPSs');
  prepare();
  const { compare } = await import('../../test/bench/peers/compare.mjs');
  const { CONTENDERS } = await import('../../test/bench/peers/contenders/contenders.mjs');
  const { close } = await import('../../test/bench/peers/processes.mjs');
  const chosen = choose(options.contenders, CONTENDERS, 'contender');
  const taking = chosen.filter(isComplete);
  const missing = chosen.filter((contender) => !taking.includes(contender));
  reportMissing(missing);
  stopOnSignals(close);
  const { rounds, seconds } = options;
  const machine = { ...describeMachine(), versions: readVersions(taking) };
  const rows = await compare(options.rows, taking, options, say);
  const names = missing.map(({ name }) => name);
  return { machine, loadAfter: loadavg()[0], rounds, seconds, missing: names, rows };
}

const readReport = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** Runs the comparison; `prepare` builds what is measured. */
export async function comparePeers(args, prepare) {
  const options = readOptions(args);
  if (options.help) return say(HELP);
  const { from, json, markdown } = options;
  const report = from === undefined ? await measure(options, prepare) : readReport(from);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  if (markdown !== undefined) {
    const text = placeInMarkdown(readFileSync(markdown, 'utf8'), renderMarkdown(report));
    writeFileSync(markdown, text);
  }
  say();
  say(renderPeers(report));
}
