import { cpus, loadavg, release } from 'node:os';

/** Where figures come from, and what else was going on when they were taken. */
export function describeMachine() {
  const { model = 'unknown' } = cpus()[0] ?? {};
  return {
    model,
    cpus: cpus().length,
    kernel: release(),
    node: process.version,
    date: new Date().toISOString(),
    loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
  };
}
