import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCommand } from '../../prepare/debian-packages.mjs';
import { ensureUnpacked } from './kernel-packages.mjs';
import { MACHINES } from './machines.mjs';

const PATIENCE_MS = { 'user-mode': 300_000, kvm: 300_000, emulated: 3_600_000 };
const COMMON = ['bwrap', 'perl', 'systemd-run'];
const EMULATOR = [...COMMON, 'qemu-system-x86_64'];
const NEEDED = { 'user-mode': COMMON, kvm: EMULATOR, emulated: EMULATOR };

/**
 * What a machine's kernel is unpacked in, or why that machine can't be had here.
 * @returns `{ kernel, reason }`; one of them is null
 */
export function prepareMachine(name) {
  const refuse = (reason) => ({ kernel: null, reason });
  if (process.arch !== 'x64') return refuse('its kernel is for x64');
  const missing = NEEDED[name].filter((command) => !hasCommand(command));
  if (missing.length > 0) return refuse(`not installed: ${missing.join(', ')}`);
  const { packages } = MACHINES[name];
  const kernel = ensureUnpacked(packages);
  return kernel === null
    ? refuse(`apt-get cannot download ${packages.join(', ')}`)
    : { kernel, reason: null };
}

/**
 * Boots a machine and waits until its tests have run.
 * @param name one of MACHINES
 * @param kernel see `prepareMachine`
 * @param onText is told what its console prints
 * @returns vitest's JSON report (null: it didn't come to that), and all that the console printed
 */
export async function runMachine(name, kernel, onText = () => {}) {
  const results = mkdtempSync(join(tmpdir(), 'rouse-vm-'));
  try {
    const [program, ...args] = MACHINES[name].command(kernel, results);
    const machine = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [machine.stdout, machine.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        onText(text);
      });
    }
    const patience = setTimeout(() => machine.kill('SIGKILL'), PATIENCE_MS[name]);
    await once(machine, 'close');
    clearTimeout(patience);
    const report = join(results, 'report.json');
    return { output, report: existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : null };
  } finally {
    rmSync(results, { recursive: true });
  }
}
