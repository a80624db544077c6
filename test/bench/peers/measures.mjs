// How a row is measured: `begin` for each contender of a row, `sample` once a round, `end`.
import { setTimeout as delay } from 'node:timers/promises';
import { sumCpuTime } from '../cpu-time.mjs';
import { sumMemory } from '../memory.mjs';
import { summarize } from '../statistics.mjs';

/** A run with more failures than this share is no measurement. */
const MAX_FAILURE_SHARE = 0.001;
/** Warming up goes on while a run takes less CPU time than this share of the best one before. */
const STILL_FALLING = 0.9;
const MAX_WARM_UP_RUNS = 20;
const SETTLE_MS = 2000;

/** One run: the load's figures, and CPU time an exchange. */
async function runLoad({ running }, row, { client, backend }, seconds) {
  const before = sumCpuTime(running.listPids());
  const load = running.load ?? row.load;
  const message = { ...load, ...backend.describeFor(row), port: running.port, seconds };
  const figures = await client.ask(message);
  const cpuMicros = (sumCpuTime(running.listPids()) - before) / figures.count;
  if (figures.failures > figures.count * MAX_FAILURE_SHARE) {
    throw new Error(`${figures.failures} failures: ${figures.reason}`);
  }
  return { ...figures, cpuMicros, perSecond: figures.count / figures.seconds };
}

const start = async (contender, row, { backend }) => ({
  running: await contender.start(row, backend),
});

const stop = ({ running }) => running.stop();

/** Unmeasured runs until the code is compiled: as long as they get cheaper. */
async function warmUp(state, row, tools, { seconds, warmUpCount: asked }) {
  const warmUpCount = Math.min(asked, row.warmUpCount ?? asked);
  let best = Number.POSITIVE_INFINITY;
  let total = 0;
  for (let runs = 0; runs < MAX_WARM_UP_RUNS; runs += 1) {
    const { cpuMicros, count } = await runLoad(state, row, tools, seconds);
    total += count;
    if (total >= warmUpCount && cpuMicros > best * STILL_FALLING) return;
    best = Math.min(best, cpuMicros);
  }
}

/** Throughput: the contender runs through all rounds. */
const load = {
  begin: start,
  warmUp,
  sample: (state, row, tools, { seconds }) => runLoad(state, row, tools, seconds),
  end: stop,
};

const STARTS_A_ROUND = 20;
const WARM_UP_STARTS = 60;
const QUIET_LOOK_MS = 30;
const QUIET_MICROS = 500;
const MAX_QUIET_LOOKS = 100;

/** Until its processes have nothing to do: what it prepares for the next start is ready then. */
async function waitUntilQuiet({ listPids }) {
  let quietLooks = 0;
  for (let look = 0; look < MAX_QUIET_LOOKS && quietLooks < 2; look += 1) {
    const before = sumCpuTime(listPids());
    await delay(QUIET_LOOK_MS);
    quietLooks = sumCpuTime(listPids()) - before < QUIET_MICROS ? quietLooks + 1 : 0;
  }
}

/** From just before connecting to the answer, of a service that slept, in microseconds. */
async function startCold(running, row, client) {
  await running.rest();
  await waitUntilQuiet(running);
  const message = { ...row.load, port: running.port, seconds: 1, count: 1 };
  const { count, p50Micros, reason } = await client.ask(message);
  if (count !== 1) throw new Error(reason);
  return p50Micros;
}

/** Cold starts: the service sleeps, and one client asks; the median of some. */
const coldStart = {
  begin: start,
  async warmUp({ running }, row, { client }, { warmUpCount }) {
    const starts = Math.min(warmUpCount, WARM_UP_STARTS);
    for (let number = 0; number < starts; number += 1) await startCold(running, row, client);
  },
  async sample({ running }, row, { client }) {
    const times = [];
    for (let number = 0; number < STARTS_A_ROUND; number += 1) {
      times.push(await startCold(running, row, client));
    }
    const { median, max } = summarize(times);
    return { count: times.length, failures: 0, p50Micros: median, maxMicros: max };
  },
  end: stop,
};

/** Memory: a fresh process each time, since one that has grown grows no more. */
const memory = {
  async begin(contender) {
    return { contender };
  },
  async warmUp() {},
  async sample({ contender }, row, { client, backend }) {
    const running = await contender.start(row, backend);
    try {
      const load = { ...row.load, ...backend.describeFor(row), port: running.port };
      await client.ask({ ...load, idle: row.warmUpConnections });
      await client.ask({ kind: 'close-idle' });
      await delay(SETTLE_MS);
      const base = sumMemory(running.listPids());
      const { count, failures } = await client.ask(load);
      await delay(SETTLE_MS);
      const grown = sumMemory(running.listPids());
      await client.ask({ kind: 'close-idle' });
      return {
        count,
        failures,
        growthBytes: (grown.pssBytes - base.pssBytes) / count,
        basePssBytes: base.pssBytes,
        baseRssBytes: base.rssBytes,
      };
    } finally {
      await client.ask({ kind: 'close-idle' });
      await running.stop();
    }
  },
  async end() {},
};

export const MEASURES = { load, coldStart, memory };
