import { fileURLToPath } from 'node:url';
import { createLog } from '../base/log.js';
import type { Config } from '../config/model.js';
import { CAPABILITY_WORDS, type Finding } from '../supervisor/capabilities.js';
import { findMissingCpus } from '../supervisor/cpu-demands.js';
import { Machine } from '../supervisor/machine.js';
import { availableCpus } from '../sys/affinity.js';
import { closeOnExecFrom } from '../sys/descriptors.js';
import type { CommandIo } from './command-io.js';
import { resolveDirectories } from './directories.js';
import { styleOf } from './render-style.js';
import { enterUserNamespace } from './rootless.js';
import { renderTable } from './table.js';

const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/**
 * Prints the table of what this machine can enforce, found by trying, and what of the config can't
 * be had. Returns the exit code: 1 where `enforce: required` could not be kept.
 */
export async function checkMachine(
  io: CommandIo,
  config: Config,
  flags: { runtimeDir?: string },
): Promise<number> {
  const log = createLog({ level: 'silent', name: 'rouse', pretty: false });
  closeOnExecFrom(3);
  const { runtimeDir, stateDir } = resolveDirectories(flags, io.env, io.uid);
  const isRootless = process.env.ROUSE_ROOTLESS_UID !== undefined || io.uid !== 0;
  const packageRoot = PACKAGE_ROOT;
  const enforce = 'best-effort';
  const machine = await Machine.open({
    enforce,
    runtimeDir,
    stateDir,
    packageRoot,
    isRootless,
    log,
  });
  try {
    const rows = Object.entries(machine.capabilities) as [keyof typeof CAPABILITY_WORDS, Finding][];
    const table = renderTable(
      [
        { title: 'THIS MACHINE', cell: ([name]) => CAPABILITY_WORDS[name] },
        { title: 'BY', cell: ([, finding]) => describe(finding) },
      ],
      rows,
      styleOf(io).paint,
    );
    io.stdout.write(`\n${table.join('\n')}\n`);
    for (const remedy of remediesOf(rows)) io.stdout.write(`${remedy}\n`);
    if (config.enforce === 'none') return 0;
    const missing = findMissingCpus(config, availableCpus());
    const unenforced = machine.unenforcedOf(config);
    for (const what of [...missing, ...unenforced]) io.stderr.write(`${what}\n`);
    const isLacking = unenforced.length > 0 || machine.capabilities.namespaces.by === null;
    return missing.length > 0 || (isLacking && config.enforce === 'required') ? 1 : 0;
  } finally {
    await machine.close();
  }
}

function describe(finding: Finding): string {
  return finding.by ?? `NOT ENFORCED: ${finding.reason}`;
}

function remediesOf(
  rows: readonly (readonly [keyof typeof CAPABILITY_WORDS, Finding])[],
): string[] {
  const namesByRemedy = new Map<string, string[]>();
  for (const [name, finding] of rows) {
    if (finding.by !== null) continue;
    const names = namesByRemedy.get(finding.remedy) ?? [];
    namesByRemedy.set(finding.remedy, [...names, CAPABILITY_WORDS[name]]);
  }
  return [...namesByRemedy].map(([remedy, names]) => `To have ${names.join(', ')}: ${remedy}.`);
}

/** An ordinary user's rouse runs in a user namespace: what can be had there is found out there. Before anything is printed. */
export function enterWhereServeRuns(): void {
  const log = createLog({ level: 'silent', name: 'rouse', pretty: false });
  enterUserNamespace({ log, inheritFds: [] }, []);
}
