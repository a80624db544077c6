import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCommandLine } from '../../src/app/command-line.js';
import { MANUALS } from '../../src/app/manual.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { runRouse } from './program.js';

const COMMANDS = Object.keys(MANUALS);

/** Runs a command line in this process: all that it takes from one is injected. */
async function run(argv: readonly string[]) {
  const written = { stdout: '', stderr: '' };
  const output = (name: keyof typeof written) => ({
    write: (text: string) => {
      written[name] += text;
    },
    isTerminal: false,
    columns: 80,
    closed: new AbortController().signal,
  });
  const code = await runCommandLine({
    argv,
    env: {},
    cwd: '/',
    uid: 0,
    stdout: output('stdout'),
    stderr: output('stderr'),
    now: () => new Date(0),
  });
  return { code, ...written };
}

test('without a command the page of the program is shown, as wrong usage', async () => {
  const { code, stdout, stderr } = await run([]);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('SYNOPSIS\n       rouse COMMAND');
});

test('--help has the sections of a man page and names every command', async () => {
  const { code, stdout } = await run(['--help']);
  expect(code).toBe(0);
  expect(stdout.match(/^[A-Z ]+$/gm)).toEqual([
    ...[
      'NAME',
      'SYNOPSIS',
      'DESCRIPTION',
      'COMMANDS',
      'OPTIONS',
      'EXIT STATUS',
      'FILES',
      'EXAMPLES',
    ],
  ]);
  for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {7}${command} `, 'm'));
  expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
});

test('every command has a page', async () => {
  const pages = await Promise.all(COMMANDS.map((command) => run([command, '--help'])));
  const names = pages.map(({ stdout }) => stdout.match(/^NAME\n {7}(rouse [\w-]+) - /)?.[1]);
  expect(names).toEqual(COMMANDS.map((command) => `rouse ${command}`));
  const hidden = pages.filter(({ stdout }) => /--(ready|parent)-fd|--scratch/.test(stdout));
  expect(hidden).toEqual([]);
});

test('every command but version takes --runtime-dir', async () => {
  const commands = COMMANDS.filter((command) => command !== 'version');
  const pages = await Promise.all(commands.map((command) => run([command, '--help'])));
  expect(pages.filter(({ stdout }) => !stdout.includes('--runtime-dir <DIR>'))).toEqual([]);
});

test('the version is that of the package', async () => {
  const { default: manifest } = await import('../../package.json', { with: { type: 'json' } });
  const version = { code: 0, stdout: `rouse ${manifest.version}\n`, stderr: '' };
  for (const args of [['version'], ['--version'], ['-V']]) expect(await run(args)).toEqual(version);
  expect(await runRouse(['version'])).toMatchObject(version);
});

test('the process exits with the code of wrong usage', async () => {
  expect(await runRouse(['wake'])).toMatchObject({ code: 2, signal: null, stdout: '' });
});

test.each([
  [['statu'], "unknown command 'statu' (Did you mean status?); see rouse --help"],
  [['status', '--jsn'], "unknown option '--jsn' (Did you mean --json?); see rouse status --help"],
  [['wake'], "missing required argument 'SERVICE'; see rouse wake --help"],
  [
    ['wake', 'a', 'b'],
    "too many arguments for 'wake'. Expected 1 argument but got 2.; see rouse wake --help",
  ],
  [
    ['run', '--', 'cat'],
    "required option '-l, --listen <ADDRESS>' not specified; see rouse run --help",
  ],
  [['run', '-l', '127.0.0.1:0'], "missing required argument 'COMMAND'; see rouse run --help"],
  [
    ['run', '-l', '127.0.0.1:0', '--protocol', 'https', '--', 'cat'],
    '--protocol https needs a certificate: give --cert and --key',
  ],
  [
    ['logs', 'a', '-n', 'x'],
    "option '-n, --lines <LINES>' argument 'x' is invalid. It must be a number up to 99999.; see rouse logs --help",
  ],
])('%j is wrong usage: exit code 2 and one line', async (args, message) => {
  expect(await run(args)).toMatchObject({ code: 2, stdout: '', stderr: `rouse: ${message}\n` });
});

test('without a rouse every client command fails with what to do', async () => {
  using directory = makeTemporaryDirectory();
  const commands = ['status', 'wake', 'sleep', 'freeze', 'restart', 'explain', 'logs', 'reload'];
  const takesNoService = (command: string): boolean => ['status', 'reload'].includes(command);
  const ends = await Promise.all(
    commands.map((command) => {
      const service = takesNoService(command) ? [] : ['blog'];
      return run([command, ...service, '--runtime-dir', directory.path]);
    }),
  );
  const socket = join(directory.path, 'admin.sock');
  const stderr = `rouse: nothing answers on ${socket}: no such file; start it with rouse serve\n`;
  for (const end of ends) expect(end).toMatchObject({ code: 1, stdout: '', stderr });
});

test('check names every error with its place, and says so when there is none', async () => {
  using directory = makeTemporaryDirectory();
  const file = join(directory.path, 'rouse.yaml');
  writeFileSync(file, 'listeners:\n  web: { adress: "127.0.0.1:0", protocol: http }\n');
  const bad = await runRouse(['check', '-c', file]);
  expect(bad).toMatchObject({ code: 1, stdout: '' });
  expect(bad.stderr).toMatch(new RegExp(`^${file}:2:\\d+: listeners\\.web\\S*: .*address`, 'm'));
  expect(await runRouse(['serve', '-c', file])).toMatchObject({
    code: 1,
    stderr: bad.stderr.replaceAll(/^/gm, 'rouse: ').replace(/rouse: $/, ''),
  });
  writeFileSync(file, 'listeners:\n  web: { address: "127.0.0.1:0", protocol: http }\n');
  const good = await runRouse(['check', '-c', file]);
  expect(good).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`${file}: ok (0 services, 1 listener)\n`),
  });
});

test('schema prints a JSON Schema', async () => {
  const { code, stdout } = await runRouse(['schema']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ type: 'object' });
});
