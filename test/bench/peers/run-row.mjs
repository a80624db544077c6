import { summarize } from '../statistics.mjs';
import { MEASURES } from './measures.mjs';

/** Every other round the other way round, so that no contender always follows the same one. */
const orderOf = (contenders, round) => (round % 2 === 0 ? contenders : contenders.toReversed());

const isNumber = (value) => typeof value === 'number';
const sum = (samples, key) => samples.reduce((total, sample) => total + sample[key], 0);

/** Every figure of the samples as median, smallest and largest. */
function summarizeSamples(samples) {
  const keys = Object.entries(samples[0] ?? {}).filter(([, value]) => isNumber(value));
  return Object.fromEntries(
    keys.map(([key]) => [key, summarize(samples.map((sample) => sample[key]))]),
  );
}

/** Round by round: what slows a whole round down slows both. */
const compareSamples = (first, samples, metric) =>
  summarize(samples.map((sample, round) => first[round][metric] / sample[metric]));

function summarizeContender({ name, samples, fault }, first, metric) {
  if (fault !== null || first.fault !== null) return { name, fault: fault ?? 'nothing to compare' };
  const figures = summarizeSamples(samples);
  const ratio = compareSamples(first.samples, samples, metric);
  const [answers, failures] = [sum(samples, 'count'), sum(samples, 'failures')];
  return { name, fault: null, figures, ratio, answers, failures };
}

/** What one contender can't do doesn't end the row for the others. */
async function attempt(entry, what) {
  if (entry.fault !== null) return;
  try {
    await what();
  } catch (error) {
    entry.fault = error.message;
  }
}

/**
 * Runs a row: each contender unmeasured at first, then all of them in every round.
 * @param tools `{ client, backend }`
 * @param options `{ rounds, seconds, warmUpCount }`; `warmUpCount`: exchanges before the first round, at least
 * @returns of each contender its figures (median, smallest and largest round) or its fault; `ratio`:
 *   the row's metric of the first one to this one's
 */
export async function runRow(row, contenders, tools, options, report) {
  const measure = MEASURES[row.measure];
  const entries = contenders.map((contender) => ({ ...contender, samples: [], fault: null }));
  const begin = async (entry, index) => {
    entry.state = await measure.begin(contenders[index], row, tools);
  };
  await Promise.all(entries.map((entry, index) => attempt(entry, () => begin(entry, index))));
  for (const entry of entries) {
    report(`${row.name}: warming up ${entry.name}`);
    await attempt(entry, () => measure.warmUp(entry.state, row, tools, options));
  }
  for (let round = 0; round < options.rounds; round += 1) {
    report(`${row.name}: round ${round + 1} of ${options.rounds}`);
    for (const entry of orderOf(entries, round)) {
      await attempt(entry, async () => {
        entry.samples.push(await measure.sample(entry.state, row, tools, options));
      });
    }
  }
  for (const { state } of entries) if (state !== undefined) await measure.end(state);
  return entries.map((entry) => summarizeContender(entry, entries[0], row.metric));
}
