import { sumCpuTime } from '../cpu-time.mjs';
import { summarize } from '../statistics.mjs';

/** A run with more failures than this share is no measurement. */
const MAX_FAILURE_SHARE = 0.001;
/** Warming up goes on while a run takes less CPU time than this share of the best one before. */
const STILL_FALLING = 0.9;
const MAX_WARM_UP_RUNS = 20;

/** Every other round the other way round, so that no contender always follows the same one. */
const orderOf = (contenders, round) => (round % 2 === 0 ? contenders : contenders.toReversed());

/** One run: the load's figures, and CPU time an exchange. */
async function measure({ name, running }, row, client, seconds) {
  const before = sumCpuTime(running.listPids());
  const load = await client.ask({ ...row.load, port: running.port, seconds });
  const cpuMicros = (sumCpuTime(running.listPids()) - before) / load.count;
  if (load.failures > load.count * MAX_FAILURE_SHARE) {
    throw new Error(`${row.name}, ${name}: ${load.failures} failures: ${load.reason}`);
  }
  return { ...load, cpuMicros, perSecond: load.count / load.seconds };
}

/** Unmeasured runs until the code is compiled: as long as they get cheaper. */
async function warmUp(each, row, client, { seconds, warmUpCount }) {
  let best = Number.POSITIVE_INFINITY;
  let total = 0;
  for (let runs = 0; runs < MAX_WARM_UP_RUNS; runs += 1) {
    const { cpuMicros, count } = await measure(each, row, client, seconds);
    total += count;
    if (total >= warmUpCount && cpuMicros > best * STILL_FALLING) return;
    best = Math.min(best, cpuMicros);
  }
}

const column = (samples, key) => summarize(samples.map((sample) => sample[key]));
const sum = (samples, key) => samples.reduce((total, sample) => total + sample[key], 0);

function summarizeContender({ name, samples }, first) {
  return {
    name,
    cpuMicros: column(samples, 'cpuMicros'),
    perSecond: column(samples, 'perSecond'),
    p50Micros: column(samples, 'p50Micros'),
    p99Micros: column(samples, 'p99Micros'),
    answers: sum(samples, 'count'),
    failures: sum(samples, 'failures'),
    // Round by round: what slows a whole round down slows both.
    ratio: summarize(
      samples.map(({ cpuMicros }, round) => first.samples[round].cpuMicros / cpuMicros),
    ),
  };
}

async function startAll(row, contenders, backend) {
  const startOne = async (contender) => {
    const running = await contender.start(row, backend);
    return { ...contender, running, samples: [] };
  };
  return Promise.all(contenders.map(startOne));
}

/**
 * Runs a row: each contender unmeasured at first, then all of them in every round.
 * @param options `{ rounds, seconds, warmUpCount }`; `warmUpCount`: exchanges before the first round, at least
 * @returns the contenders' figures; `ratio`: CPU time of the first one to this one's
 */
export async function runRow(row, contenders, { backend, client }, options, report) {
  const running = await startAll(row, contenders, backend);
  try {
    for (const each of running) {
      report(`${row.name}: warming up ${each.name}`);
      await warmUp(each, row, client, options);
    }
    for (let round = 0; round < options.rounds; round += 1) {
      report(`${row.name}: round ${round + 1} of ${options.rounds}`);
      for (const each of orderOf(running, round)) {
        each.samples.push(await measure(each, row, client, options.seconds));
      }
    }
    return running.map((each) => summarizeContender(each, running[0]));
  } finally {
    for (const each of running) await each.running.stop();
  }
}
