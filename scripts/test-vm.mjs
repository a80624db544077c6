// npm run test:vm -- [MACHINE…]: runs the tests of test/vm/guest in virtual machines, whose kernels
// have what this one may lack. Needs x64, bubblewrap and apt-get; `kvm` and `emulated` also qemu-system-x86.
import { build, isBuilt } from './prepare/build.mjs';
import { ensureDebianPackages } from './prepare/debian-packages.mjs';
import { ensureNodeModules } from './prepare/node-modules.mjs';
import { requirePlatform } from './prepare/platform.mjs';
import { giveUp, say } from './prepare/say.mjs';
import { countResults } from './test/count-results.mjs';
import { prepareMachine, runMachine } from './test/vm/boot.mjs';
import { MACHINES } from './test/vm/machines.mjs';

const DEFAULT = ['user-mode', 'emulated'];
const names = process.argv.length > 2 ? process.argv.slice(2) : DEFAULT;
const unknown = names.find((name) => !(name in MACHINES));
if (unknown !== undefined)
  giveUp(`no machine '${unknown}'; there are: ${Object.keys(MACHINES).join(', ')}`);

requirePlatform();
ensureNodeModules();
const packages = names.some((name) => name !== 'user-mode') ? ['qemu-system-x86'] : [];
ensureDebianPackages(['bubblewrap', 'perl', 'systemd', ...packages]);
const faults = isBuilt() ? '' : build();
if (faults !== '') giveUp(faults);

let failed = 0;
for (const name of names) {
  const { kernel, reason } = prepareMachine(name);
  if (reason !== null) giveUp(`${name}: ${reason}`);
  say(`booting ${name}`);
  const startedMs = Date.now();
  const { report } = await runMachine(name, kernel, (text) => process.stdout.write(text));
  const counts = countResults(report, []);
  const seconds = Math.round((Date.now() - startedMs) / 1000);
  say(
    `${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped in ${seconds} s`,
  );
  failed += counts.failed;
}
process.exitCode = failed > 0 ? 1 : 0;
