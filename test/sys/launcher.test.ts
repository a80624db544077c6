import { closeSync, openSync, readlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
// The launcher's thread is a file of its own: it takes the built one.
import { closeOnExecFrom, createPipe } from '../../dist/sys/descriptors.js';
import type { LaunchRequest } from '../../dist/sys/launch-request.js';
import { Launcher } from '../../dist/sys/launcher.js';
import {
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
} from '../../dist/sys/libc.js';
import { openPidfd, type ProcessExit } from '../../dist/sys/processes.js';
import { NAMESPACES, NamespaceHolder, titled, whyNoNamespaces } from './namespace-holder.js';

const ALL = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
const READ_NAMESPACES = `for n in ${NAMESPACES.join(' ')}; do readlink /proc/self/ns/$n; done`;

const BASE: Omit<LaunchRequest, 'descriptors'> = {
  executable: '/bin/sh',
  arguments: ['sh'],
  environment: ['PATH=/usr/bin:/bin'],
  directory: '/',
  vpsPidfd: null,
  namespaces: 0,
  identity: null,
  umask: 0o022,
  cpus: [],
};

type Change = Partial<LaunchRequest>;

describe.skipIf(whyNoNamespaces !== null)(titled('the launcher'), () => {
  let launcher: Launcher;
  const nullFd = openSync('/dev/null', 'r+');
  beforeAll(async () => {
    launcher = await Launcher.create({ homePidfd: null, filter: null });
  });
  afterAll(async () => {
    await launcher?.close();
    closeSync(nullFd);
  });

  /** Runs a script to its end: all that it printed, and how it ended. */
  async function run(
    script: string,
    change: Change = {},
  ): Promise<ProcessExit & { output: string }> {
    const { readFd, writeFd } = createPipe();
    const { descriptors = [], ...others } = change;
    const launched = launcher.launch({
      ...BASE,
      arguments: ['sh', '-c', script],
      ...others,
      descriptors: [[nullFd, 0], [writeFd, 1], [writeFd, 2], ...descriptors],
    });
    const output = text(new Socket({ fd: readFd }));
    try {
      const child = await launched;
      closeSync(writeFd);
      return { output: await output, ...(await child.exited) };
    } catch (error) {
      closeSync(writeFd);
      await output;
      throw error;
    }
  }

  const lines = async (script: string, change?: Change) =>
    (await run(script, change)).output.trim().split('\n');

  test('tells how a process ended', async () => {
    expect(await run('exit 7')).toMatchObject({ code: 7, signal: null });
    expect(await run('kill -TERM $$')).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  test('starts it with the identity that is wanted, and with no other group', async () => {
    const identity = { uid: 12345, gid: 23456, groups: [34567, 45678] };
    const [user, group, groups] = await lines('id -u; id -g; id -G', { identity });
    expect([user, group, groups]).toEqual(['12345', '23456', '23456 34567 45678']);
    const { output } = await run('grep -E "^(Uid|Gid)" /proc/self/status', { identity });
    expect(output).toBe('Uid:\t12345\t12345\t12345\t12345\nGid:\t23456\t23456\t23456\t23456\n');
    expect(await lines('id -G', { identity: { ...identity, groups: [] } })).toEqual(['23456']);
    // And is itself as before.
    expect(await lines('id -u; id -g')).toEqual(['0', '0']);
  });

  test.each([
    ['another user', { uid: 12345, gid: 12345, groups: [] }],
    ['its own', null],
  ])('gives it no capability, and no way to get one (identity: %s)', async (_, identity) => {
    const status = await lines('grep -E "^(Cap|NoNewPrivs)" /proc/self/status', { identity });
    expect(status).toEqual([
      ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(
        (set) => `${set}:\t${'0'.repeat(16)}`,
      ),
      'NoNewPrivs:\t1',
    ]);
  });

  test('starts it in the namespaces of the VPS, and is back in the host’s afterwards', async () => {
    await using holder = await NamespaceHolder.start();
    const vpsPidfd = openPidfd(holder.pid);
    const inside = await lines(READ_NAMESPACES, { vpsPidfd, namespaces: ALL });
    expect(inside).toEqual(NAMESPACES.map((name) => holder.namespace(name)));
    const own = NAMESPACES.map((name) => readlinkSync(`/proc/self/ns/${name}`));
    expect(await lines(READ_NAMESPACES)).toEqual(own);
    expect(await lines('cat /proc/1/comm', { vpsPidfd, namespaces: ALL })).toEqual(['sleep']);
    const networkOnly = await lines(READ_NAMESPACES, { vpsPidfd, namespaces: CLONE_NEWNET });
    expect(networkOnly).toEqual(
      own.map((namespace, index) =>
        NAMESPACES[index] === 'net' ? holder.namespace('net') : namespace,
      ),
    );
    closeSync(vpsPidfd);
  });

  test('starts many at once, each where it belongs', async () => {
    await using holder = await NamespaceHolder.start();
    const vpsPidfd = openPidfd(holder.pid);
    const outputs = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const isInside = index % 2 === 0;
        const change = {
          ...(isInside ? { vpsPidfd, namespaces: ALL } : {}),
          identity: { uid: 20_000 + index, gid: 20_000 + index, groups: [] },
          environment: [`N=${index}`, 'PATH=/usr/bin:/bin'],
        };
        const script = 'echo $N; id -u; readlink /proc/self/ns/net';
        const network = isInside ? holder.namespace('net') : readlinkSync('/proc/self/ns/net');
        return [await lines(script, change), [`${index}`, `${20_000 + index}`, network]];
      }),
    );
    for (const [printed, wanted] of outputs) expect(printed).toEqual(wanted);
    closeSync(vpsPidfd);
  });

  test('a VPS that is gone is an error by step, and the next start works', async () => {
    const holder = await NamespaceHolder.start();
    const vpsPidfd = openPidfd(holder.pid);
    await holder[Symbol.asyncDispose]();
    await expect(run('true', { vpsPidfd, namespaces: ALL })).rejects.toMatchObject({
      code: 'start',
      message: expect.stringContaining('enter the namespaces of the VPS: ESRCH'),
    });
    closeSync(vpsPidfd);
    expect(await lines('echo fine')).toEqual(['fine']);
  });

  test('passes the descriptors that are wanted, under their numbers, and leaks none', async () => {
    // As a supervisor does when it starts: what it inherited is nobody's business.
    closeOnExecFrom(3);
    const leaky = openSync('/etc/hostname', 'r');
    expect(await lines('ls /proc/$$/fd')).toEqual(['0', '1', '2']);
    const [a, b] = [openSync('/dev/zero', 'r'), openSync('/dev/full', 'r')];
    const script = 'ls /proc/$$/fd; readlink /proc/$$/fd/3 /proc/$$/fd/9';
    const passed = {
      descriptors: [
        [a, 9],
        [b, 3],
      ] as const,
    };
    expect(await lines(script, passed)).toEqual([
      '0',
      '1',
      '2',
      '3',
      '9',
      '/dev/full',
      '/dev/zero',
    ]);
    // Each gets the number that the other one has here.
    const crossed = {
      descriptors: [
        [a, b],
        [b, a],
      ] as const,
    };
    const both = await lines(`readlink /proc/$$/fd/${a} /proc/$$/fd/${b}`, crossed);
    expect(both).toEqual(['/dev/full', '/dev/zero']);
    for (const fd of [a, b, leaky]) closeSync(fd);
  });

  test('starts it in its directory; one that is not there is an error', async () => {
    expect(await lines('pwd', { directory: '/usr/bin' })).toEqual(['/usr/bin']);
    expect(await lines('pwd')).toEqual(['/']);
    await expect(run('true', { directory: '/no/such/directory' })).rejects.toMatchObject({
      code: 'start',
      message: 'start /bin/sh in /no/such/directory: ENOENT',
    });
  });

  test('a program that is not there is an error', async () => {
    await expect(run('true', { executable: '/no/such/program' })).rejects.toMatchObject({
      code: 'start',
      message: 'start /no/such/program in /: ENOENT',
    });
  });

  test('gives it exactly its environment and its file mode mask', async () => {
    const environment = ['A=1', 'EMPTY=', 'UMLAUT=ä', 'PATH=/usr/bin:/bin'];
    const printed = await lines('env', {
      environment,
      executable: '/usr/bin/env',
      arguments: ['env'],
    });
    expect(printed).toEqual(environment);
    expect(await lines('umask', { umask: 0o077 })).toEqual(['0077']);
    expect(await lines('umask', { umask: 0o002 })).toEqual(['0002']);
  });

  test('starts it in a session of its own, with no signal ignored or blocked', async () => {
    const status = await lines('grep -E "^Sig(Ign|Blk)" /proc/self/status');
    expect(status).toEqual([`SigBlk:\t${'0'.repeat(16)}`, `SigIgn:\t${'0'.repeat(16)}`]);
    const [pid, session] = await lines('echo $$; cut -d " " -f 6 /proc/$$/stat');
    expect(session).toBe(pid);
  });

  test('keeps it on its CPUs, and the next one on all', async () => {
    const allowed = 'grep Cpus_allowed_list /proc/self/status | cut -f 2';
    const [before] = await lines(allowed);
    expect(await lines(allowed, { cpus: [0] })).toEqual(['0']);
    expect(await lines(allowed)).toEqual([before]);
    await expect(run('true', { cpus: [1000] })).rejects.toMatchObject({
      message: `run on CPUs 1000 of ${availableParallelism()}: EINVAL`,
    });
  });
});
