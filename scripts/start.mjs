// npm start: installs and builds what is missing, then serves the demonstration in the foreground.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { makeCertificates } from './demo/certificates.mjs';
import { renderTries } from './demo/tries.mjs';
import { build, isBuilt } from './prepare/build.mjs';
import { ensureDebianPackages } from './prepare/debian-packages.mjs';
import { ensureNodeModules } from './prepare/node-modules.mjs';
import { requirePlatform } from './prepare/platform.mjs';
import { ROOT } from './prepare/root.mjs';
import { giveUp, say } from './prepare/say.mjs';

const STATE = '.rouse-demo';
const READY_FD = 3;
const PARENT_FD = 4;
const SAME_SIGNAL_MS = 300;
const FLAGS = {
  config: 'config/demo.yaml',
  'log-format': 'readable',
  'runtime-dir': `${STATE}/run`,
  'state-dir': `${STATE}/state`,
  'ready-fd': READY_FD,
  'parent-fd': PARENT_FD,
};
const ARGUMENTS = Object.entries(FLAGS).map(([name, value]) => `--${name}=${value}`);

function prepare() {
  requirePlatform();
  const missing = ensureDebianPackages(['bubblewrap', 'openssl']);
  if (missing.includes('openssl'))
    giveUp('the demonstration needs openssl to make its certificates');
  ensureNodeModules();
  if (!isBuilt()) {
    say('building (tsc)');
    const faults = build();
    if (faults !== '') giveUp(faults);
  }
  say(`making certificates in ${STATE}/tls`);
  makeCertificates(`${ROOT}${STATE}/tls`);
}

function printIntroduction() {
  say('\nNothing is running yet. From another terminal, in this directory:');
  say(renderTries());
  say(`\n  what is awake, and what it costs to wake it`);
  say(`    node dist/app/main.js status --runtime-dir ${STATE}/run`);
  say('\nWhat nobody uses for ten seconds stops. Ctrl-C ends everything.\n');
}

/** Runs rouse, says what to try once it takes connections, and ends as it ends. */
function serve() {
  const rouse = spawn(process.execPath, ['dist/app/main.js', 'serve', ...ARGUMENTS], {
    cwd: ROOT,
    // Out of reach of the terminal's Ctrl-C: rouse would take it and ours for two.
    detached: true,
    stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe'],
  });
  rouse.stdio[READY_FD].once('data', printIntroduction).on('error', () => {});
  rouse.stdio[PARENT_FD].on('error', () => {});
  forwardSignals(rouse);
  rouse.on('error', (error) => giveUp(`cannot run node: ${error.message}`));
  rouse.on('close', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** A Ctrl-C comes twice, from the terminal and from npm; a later one is meant as a second one. */
function forwardSignals(rouse) {
  let forwardedMs = Number.NEGATIVE_INFINITY;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (performance.now() - forwardedMs < SAME_SIGNAL_MS) return;
      forwardedMs = performance.now();
      rouse.kill('SIGTERM');
    });
  }
}

prepare();
say(`starting rouse with ${FLAGS.config}`);
serve();
