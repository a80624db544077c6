import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { TRIES } from '../scripts/demo/tries.mjs';
import { runToEnd, TestProcess } from './support/run-process.js';
import { waitFor } from './support/wait-for.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const STATUS = ['dist/app/main.js', 'status', '--json', '--runtime-dir', '.rouse-demo/run'];

async function readStatus() {
  const { stdout, stderr } = await runToEnd([process.execPath, ...STATUS], { directory: ROOT });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as {
    services: { name: string; state: string; starts: number; failures: number }[];
  };
}

/** Pids of all that a process has started and what that has started. */
function listDescendants(ancestor: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => [Number(pid), readParent(pid)] as const);
  const childrenOf = (pid: number): number[] =>
    parents
      .filter(([, parent]) => parent === pid)
      .flatMap(([child]) => [child, ...childrenOf(child)]);
  return childrenOf(ancestor);
}

function readParent(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

/** In a user namespace whose own limits forbid every further namespace: user_namespaces(7). */
const WITHOUT_NAMESPACES = [
  'unshare',
  '--user',
  '--map-root-user',
  'sh',
  '-c',
  'for limit in /proc/sys/user/max_*_namespaces; do echo 0 > "$limit"; done; exec "$0" "$@"',
];

function startDemo(wrapper: readonly string[] = []): TestProcess {
  const command = [...wrapper, process.execPath, 'scripts/start.mjs'];
  return new TestProcess(command, { directory: ROOT, ownGroup: true });
}

async function tryEverything(demo: TestProcess): Promise<void> {
  for (const { command, expect: answer } of TRIES.flatMap(({ commands }) => commands)) {
    const { stdout, stderr } = await runToEnd(['sh', '-c', command], { directory: ROOT });
    expect(stdout, `${command}\n${stderr}\n${demo.output}`).toContain(answer);
  }
  const { services } = await readStatus();
  expect(services.filter(({ starts, failures }) => starts === 0 || failures > 0)).toEqual([]);
}

/** As Ctrl-C on its terminal does; then nothing of it may be left. */
async function interrupt(demo: TestProcess): Promise<void> {
  const processes = listDescendants(demo.pid);
  expect(processes.length).toBeGreaterThan(1);
  demo.signalGroup('SIGINT');
  expect(await demo.ended).toMatchObject({ code: 0, signal: null });
  await waitFor(() => processes.every((pid) => !existsSync(`/proc/${pid}`)), {
    what: 'every process of the demonstration to be gone',
  });
  expect(existsSync(`${ROOT}/.rouse-demo/run/admin.sock`)).toBe(false);
}

test('npm start: everything sleeps, wakes when it is tried, sleeps again, and Ctrl-C ends it all', {
  timeout: 120_000,
}, async () => {
  await using demo = startDemo();
  await demo.waitForOutput(/Nothing is running yet/, 60_000);
  const before = await readStatus();
  expect(before.services.filter(({ state }) => state !== 'stopped')).toEqual([]);
  await tryEverything(demo);
  const isAsleep = ({ state }: { state: string }) => state === 'stopped';
  await waitFor(async () => (await readStatus()).services.every(isAsleep), {
    what: 'every service to stop by itself',
    timeoutMs: 30_000,
    everyMs: 500,
  });
  await interrupt(demo);
});

test('npm start where the kernel allows no namespaces: it says so, and everything answers', {
  timeout: 120_000,
}, async ({ skip }) => {
  const { stderr, code } = await runToEnd([...WITHOUT_NAMESPACES, 'true']);
  skip(code !== 0, `this test needs one user namespace: ${stderr}`);
  await using demo = startDemo(WITHOUT_NAMESPACES);
  await demo.waitForOutput(/Nothing is running yet/, 60_000);
  expect(demo.output).toContain('NO ISOLATION');
  await tryEverything(demo);
  await interrupt(demo);
});
