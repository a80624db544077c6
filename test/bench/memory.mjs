import { readFileSync } from 'node:fs';

const KIBIBYTE = 1024;

const readField = (text, name) =>
  Number(new RegExp(`^${name}: *(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * KIBIBYTE;

/**
 * Memory of processes together, in bytes: resident (`rssBytes`, pages that they share count for each)
 * and proportional (`pssBytes`, shared pages count once). proc_pid_smaps_rollup: Linux 4.14.
 */
export function sumMemory(pids) {
  const texts = pids.map((pid) => readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  const sum = (name) => texts.reduce((total, text) => total + readField(text, name), 0);
  return { rssBytes: sum('Rss'), pssBytes: sum('Pss') };
}
