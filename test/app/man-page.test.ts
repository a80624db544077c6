import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { MANUALS } from '../../src/app/manual.js';
import { roffLiteral, roffText } from '../../src/base/roff.js';
import { findCommand, systemPath } from '../../src/config/find-command.js';
import { listConfigKeys } from '../../src/config/reference.js';
import { runRouse } from './program.js';

const hasGroff = findCommand('groff', systemPath(), null) !== null;
const reason = hasGroff ? '' : ' (skipped: the package groff-base is not installed)';

async function pageOf(name: string): Promise<string> {
  const { code, stdout, stderr } = await runRouse(['manual', name]);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}

/** As man(1) shows it on a terminal without colours; throws where groff complains. */
function shown(page: string): string {
  const groff = spawnSync('groff', ['-man', '-ww', '-Tascii', '-P-cbou', '-rHY=0', '-rLL=200n'], {
    input: page,
    encoding: 'utf8',
  });
  expect(groff.stderr).toBe('');
  return groff.stdout;
}

test.skipIf(!hasGroff)(`rouse(1) has every command, readable for man${reason}`, async () => {
  const text = shown(await pageOf('rouse.1'));
  for (const [name, { summary }] of Object.entries(MANUALS)) {
    expect(text).toContain(`${name} - ${summary}`);
  }
  expect(text).toMatch(/--runtime-dir <DIR>\s+Directory of the admin socket/);
});

test.skipIf(!hasGroff)(`rouse.yaml(5) has every key of the schema${reason}`, async () => {
  const text = shown(await pageOf('rouse.yaml.5')).replaceAll(/\s+/g, ' ');
  for (const { path, description } of listConfigKeys()) {
    const key = path.replace(/^(listeners|services|gateways)\.NAME\./, '');
    expect(text).toContain(` ${key} `);
    expect(text).toContain(description.replaceAll('`', '').replaceAll('…', '...'));
  }
});

test('a page that is not there is refused with those that are', async () => {
  const { code, stderr } = await runRouse(['manual', 'rouse.8']);
  expect([code, stderr]).toEqual([
    2,
    'rouse: there is no page rouse.8; rouse.1 and rouse.yaml.5 are there\n',
  ]);
});

test('text that troff would take for a request or an escape stays text', () => {
  expect(roffText(".so /etc/passwd\n'x \\n[.g] a-b `c`")).toBe(
    '\\&.so /etc/passwd\n\\(aqx \\en[.g] a\\-b \\fBc\\fP',
  );
  expect(roffLiteral('--x')).toBe('\\fB\\-\\-x\\fP');
});
