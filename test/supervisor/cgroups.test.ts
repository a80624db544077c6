import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { CgroupTree } from '../../src/supervisor/cgroup-tree.js';
import { ServiceCgroup } from '../../src/supervisor/service-cgroup.js';
import { Cgroup, findCgroup } from '../../src/sys/cgroups.js';
import { descendantsOf } from '../../src/sys/processes.js';
import { waitFor } from '../support/wait-for.js';

const HYBRID = `31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw`;

describe('the own cgroup', () => {
  test.each([
    ['hybrid', HYBRID, '8:pids:/\n0::/', '/sys/fs/cgroup/unified'],
    [
      'unified',
      '29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw',
      '0::/system.slice/rouse.service',
      '/sys/fs/cgroup/system.slice/rouse.service',
    ],
    [
      'a part, in a container',
      '9 1 0:26 /box /sys/fs/cgroup ro - cgroup2 cgroup rw',
      '0::/box/app',
      '/sys/fs/cgroup/app',
    ],
    [
      'a mount point with a space',
      '9 1 0:26 / /mnt/my\\040groups rw - cgroup2 none rw',
      '0::/a',
      '/mnt/my groups/a',
    ],
    [
      'another part than is mounted',
      '9 1 0:26 /box /sys/fs/cgroup ro - cgroup2 cgroup rw',
      '0::/other',
      null,
    ],
    [
      'version 1 only',
      '37 31 0:34 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
      '8:pids:/',
      null,
    ],
  ])('is found: %s', (_where, mountinfo, cgroup, expected) => {
    expect(findCgroup(mountinfo, cgroup)).toBe(expected);
  });
});

/** A cgroup of the test, in the one that it runs in; or why there can be none. */
function makeBase(): Cgroup | string {
  const own = findCgroup(
    readFileSync('/proc/self/mountinfo', 'utf8'),
    readFileSync('/proc/self/cgroup', 'utf8'),
  );
  if (own === null) return 'cgroup2 is not mounted here';
  try {
    return new Cgroup(own).child(`rouse-test-${process.pid}`);
  } catch {
    return 'no cgroup can be made here: it takes root, or delegation';
  }
}

const base = makeBase();
const whyNot = typeof base === 'string' ? base : null;
if (typeof base !== 'string') rmdirSync(base.directory);
const directory = typeof base === 'string' ? '' : base.directory;
const children: ChildProcess[] = [];

function start(script: string): ChildProcess {
  const child = spawn('/bin/sh', ['-c', script], { stdio: 'ignore', detached: true });
  children.push(child);
  return child;
}

const readStat = (pid: number | undefined) => readFileSync(`/proc/${pid}/stat`, 'utf8');

function isFrozen(cgroup: string): boolean {
  return /^frozen 1$/m.test(readFileSync(join(cgroup, 'cgroup.events'), 'utf8'));
}

describe.skipIf(whyNot !== null)(`cgroups${whyNot === null ? '' : ` (skipped: ${whyNot})`}`, () => {
  let tree: CgroupTree | null = null;
  const open = async () => {
    mkdirSync(directory, { recursive: true });
    tree = await CgroupTree.open(directory);
    return tree;
  };
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await tree?.close();
    tree = null;
    await new Cgroup(directory).remove();
  });

  test('what a dead supervisor left is cleared away, what a living one has stays', async () => {
    const [started] = readFileSync('/proc/self/stat', 'utf8').split(') ').slice(-1);
    const alive = `rouse-${process.ppid}.0`;
    expect(started).toBeDefined();
    mkdirSync(join(directory, 'rouse-4194305.77/service-old.1/run'), { recursive: true });
    mkdirSync(join(directory, alive));
    mkdirSync(join(directory, 'somebody-else'));
    const left = start('sleep 600');
    new Cgroup(join(directory, 'rouse-4194305.77/service-old.1/run')).write(
      'cgroup.procs',
      `${left.pid}`,
    );
    const ended = once(left, 'exit');
    const { directory: own } = await open();
    await ended;
    expect(existsSync(join(directory, 'rouse-4194305.77'))).toBe(false);
    expect(existsSync(join(directory, 'somebody-else'))).toBe(true);
    expect(dirname(own)).toBe(directory);
    // The pid is in use, but by a process that was started at another time.
    expect(existsSync(join(directory, alive))).toBe(false);
  });

  test('nothing of a tree is left when it is closed', async () => {
    const opened = await open();
    new ServiceCgroup(opened.create('service-a.1'));
    await opened.close();
    tree = null;
    expect(existsSync(opened.directory)).toBe(false);
  });

  test('processes that were forked before they could be moved are brought in too', async () => {
    const cgroup = new ServiceCgroup((await open()).create('service-a.1'));
    const child = start('sleep 600 & (sleep 600 & sleep 600) & sleep 600');
    await waitFor(() => descendantsOf([child.pid as number]).length >= 5);
    const all = () => descendantsOf([child.pid as number]);
    await cgroup.bringIn(child.pid as number, { near: all, all, isWhole: () => true });
    expect(cgroup.processes().toSorted()).toEqual(all().toSorted());
    cgroup.kill();
    await waitFor(() => cgroup.processes().length === 0);
    expect(await cgroup.remove()).toBe(true);
  });

  test('a process that is ending when it is to be brought in is no fault', async () => {
    const cgroup = new ServiceCgroup((await open()).create('service-a.1'));
    // The first process of a pid namespace ends only when all others were waited for.
    const unshared = start('exec unshare --pid --fork sleep 600');
    await waitFor(() => descendantsOf([unshared.pid as number]).length === 2);
    const ending = descendantsOf([unshared.pid as number])[1] as number;
    const joined = start(`exec nsenter --target ${ending} --pid sleep 601`);
    await waitFor(() => /^\d+ \(sleep\)/.test(readStat(descendantsOf([joined.pid as number])[1])));
    joined.kill('SIGSTOP');
    await waitFor(() => /^\d+ \(nsenter\) T/.test(readStat(joined.pid)));
    process.kill(ending, 'SIGKILL');
    await waitFor(() =>
      /^\d+ \(sleep\) Z/.test(readStat(descendantsOf([joined.pid as number])[1])),
    );
    expect(readStat(ending)).toMatch(/^\d+ \(sleep\) [RSD]/);
    const near = () => [ending];
    await cgroup.bringIn(ending, { near, all: near, isWhole: () => true });
    expect(cgroup.processes()).toEqual([]);
    // Now it can end, and so can what waits for it.
    const ended = Promise.all([once(joined, 'exit'), once(unshared, 'exit')]);
    joined.kill('SIGKILL');
    await ended;
  });

  test('what has been frozen stands still, can be killed, and tells when it is empty', async () => {
    const cgroup = new ServiceCgroup((await open()).create('service-a.1'));
    const child = start('while :; do :; done');
    const all = () => descendantsOf([child.pid as number]);
    await cgroup.bringIn(child.pid as number, { near: all, all, isWhole: () => true });
    const empty = new Promise<void>((resolve) => {
      const stopWatching = cgroup.onEmpty(() => {
        stopWatching();
        resolve();
      });
    });
    expect(cgroup.freeze()).toBe(true);
    await waitFor(() => isFrozen(cgroup.directory));
    const cpuTime = () => readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ')[13];
    const before = cpuTime();
    expect(cgroup.thaw()).toBe(true);
    await waitFor(() => !isFrozen(cgroup.directory) && cpuTime() !== before);
    cgroup.freeze();
    await waitFor(() => isFrozen(cgroup.directory));
    cgroup.kill();
    await empty;
    expect(cgroup.processes()).toEqual([]);
  });
});
