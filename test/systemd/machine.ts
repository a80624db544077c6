// A machine with a real systemd, for tests of rouse as a service of it: systemd-nspawn on a Debian
// tree that is made once (scripts/test/systemd-tree.mjs). What a machine writes lives in memory and
// ends with it. Node and the project are mounted read-only, rouse where `npm install -g` puts it; the
// units are installed.
//
//   describe.skipIf(whyNoSystemd !== null)(titled('…'), () => {
//     let machine: Machine;
//     beforeAll(async () => { machine = await Machine.boot(); });
//     afterAll(() => machine[Symbol.asyncDispose]());
//     test('…', async () => {
//       await machine.write('/etc/rouse/rouse.yaml', { listeners: … });
//       await machine.check('systemctl start rouse');
//       expect(await machine.curl('http://127.0.0.1:8080/')).toContain('hello');
//       expect(await machine.journal('rouse')).toContain('…');
//
// One machine a file does: a boot takes a second or two, and tests end what they started.
import { mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT } from '../../scripts/prepare/root.mjs';
import { ensureSystemdTree, TREE_MARK } from '../../scripts/test/systemd-tree.mjs';
import { Cgroup, findCgroup } from '../../src/sys/cgroups.js';
import { listDescendants, seeProcess } from '../support/processes.js';
import { type ProcessEnd, runToEnd, TestProcess } from '../support/run-process.js';
import { waitFor } from '../support/wait-for.js';

const GUEST_ROUSE = '/usr/lib/node_modules/rouse';
/** Where packages put their units; what a test writes there is known after `systemctl daemon-reload`. */
const UNITS = '/usr/lib/systemd/system';
/** The fixtures, as the machine sees them. */
export const GUEST_FIXTURES = `${GUEST_ROUSE}/test/fixtures`;

/** One HTTP server behind 127.0.0.1:8080 of the machine. */
export const HELLO_CONFIG = {
  listeners: { web: { address: '127.0.0.1:8080', protocol: 'http' } },
  services: {
    hello: {
      routes: [{ listener: 'web' }],
      run: { command: ['./http-hello.js', '3000'], directory: GUEST_FIXTURES },
      upstream: 'tcp:3000',
    },
  },
};

const NAMESPACES = '--mount --uts --ipc --net --pid --cgroup --root --wd'.split(' ');
const ENVIRONMENT = [
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'HOME=/root',
  'LANG=C.UTF-8',
  'SYSTEMD_COLORS=0',
  'SYSTEMD_PAGER=',
];

const { tree, reason } = ensureSystemdTree();
const ownCgroup = findCgroup(
  readFileSync('/proc/self/mountinfo', 'utf8'),
  readFileSync('/proc/self/cgroup', 'utf8'),
);

/** Why no systemd can be booted here; null: it can. */
export const whyNoSystemd: string | null =
  reason ?? (ownCgroup === null ? 'cgroup2 is not mounted' : null);

/** The title of tests on a machine, with the reason where they are skipped. */
export function titled(name: string): string {
  return whyNoSystemd === null ? name : `${name} (skipped: ${whyNoSystemd})`;
}

/**
 * The machine's surroundings, which end with the test, and everything in them: a pid namespace, and a
 * mount namespace with a /run where nspawn leaves nothing on the host, and with cgroup2 where nspawn
 * wants it, also when the host mounts it beside version 1. nspawn makes cgroups in the one that it is
 * started in.
 */
const SURROUND = 'setpriv --pdeathsig KILL unshare --pid --mount-proc --fork --kill-child'.split(
  ' ',
);
const START = `
  echo 0 >"$0" && mount -t tmpfs tmpfs /run &&
  if [ ! -e /sys/fs/cgroup/cgroup.procs ]; then
    umount --recursive /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
  fi && exec systemd-nspawn "$@"`;

let machines = 0;

export class Machine implements AsyncDisposable {
  private constructor(
    private readonly nspawn: TestProcess,
    private readonly cgroup: Cgroup,
    /** The machine's process 1, as the host sees it. */
    readonly leader: number,
  ) {}

  /** Resolves when all that the machine starts by itself has started. */
  static async boot(): Promise<Machine> {
    await removeStale();
    machines += 1;
    const name = `rouse-test-${process.pid}-${machines}`;
    const cgroup = new Cgroup(join(ownCgroup ?? '', name));
    mkdirSync(cgroup.directory);
    const nspawn = new TestProcess(nspawnCommand(name, cgroup));
    const leader = await untilLeads(nspawn);
    const machine = new Machine(nspawn, cgroup, leader);
    await waitFor(
      async () => (await machine.run('systemctl is-system-running --wait')).code === 0,
      {
        what: 'the machine to be up',
      },
    );
    await machine.#installRouse();
    return machine;
  }

  async #installRouse(): Promise<void> {
    const wrapper = `#!/bin/sh\nexec node ${GUEST_ROUSE}/dist/app/main.js "$@"\n`;
    await this.write('/usr/bin/rouse', wrapper, 0o755);
    await this.check(`cp ${GUEST_ROUSE}/systemd/* ${UNITS}/ && systemctl daemon-reload`);
  }

  /** Runs a shell command as root, outside of all units. */
  run(command: string, input?: string): Promise<ProcessEnd> {
    const enter = ['nsenter', `--target=${this.leader}`, ...NAMESPACES];
    const shell = ['env', '-i', ...ENVIRONMENT, 'sh', '-c', command];
    return runToEnd([...enter, ...shell], input === undefined ? {} : { input });
  }

  /** What a command printed to standard output; rejects, with all that it printed and the end of the journal, when it fails. */
  async check(command: string, input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, input);
    if (code === 0) return stdout;
    const journal = await this.run('journalctl --sync; journalctl -n 20 -o cat --no-pager');
    const printed = `${stdout}${stderr}\nthe journal:\n${journal.stdout}`;
    throw new Error(`${command}: ended with ${code}\n${printed}`);
  }

  /** Writes a file, with its directories; an object as JSON, which is YAML too. */
  async write(path: string, content: string | object, mode = 0o644): Promise<void> {
    const text = typeof content === 'string' ? content : JSON.stringify(content, null, 2);
    const steps = [
      `mkdir -p "$(dirname '${path}')"`,
      `cat >'${path}'`,
      `chmod ${mode.toString(8)} '${path}'`,
    ];
    await this.check(steps.join(' && '), text);
  }

  /** What an HTTP request got; takes curl's arguments for the shell, rejects where curl or the server fails. */
  curl(args: string): Promise<string> {
    return this.check(`curl -sS --fail-with-body ${args}`);
  }

  /** What a unit logged so far: messages only, unless options of journalctl(1) say otherwise. */
  async journal(unit: string, options = '-o cat'): Promise<string> {
    await this.check('journalctl --sync');
    return this.check(`journalctl -u ${unit} --no-pager ${options}`);
  }

  /** A property of a unit, as `systemctl show` has it. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.check(`systemctl show ${unit} -P ${name}`)).trim();
  }

  /** Ends the machine with everything in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    killNow(this.leader);
    await this.nspawn.ended;
    await this.cgroup.remove();
  }
}

/** The cgroups of machines whose test was killed. */
async function removeStale(): Promise<void> {
  for (const child of new Cgroup(ownCgroup ?? '').children()) {
    const [, pid] = /^rouse-test-(\d+)-\d+$/.exec(basename(child.directory)) ?? [];
    if (pid === undefined || seeProcess(Number(pid)) !== null) continue;
    child.tryWrite('cgroup.kill', '1');
    await child.remove();
  }
}

function nspawnCommand(name: string, cgroup: Cgroup): string[] {
  const mounts = [
    `--bind-ro=${process.execPath}:/usr/bin/node`,
    `--bind-ro=${ROOT}:${GUEST_ROUSE}`,
  ];
  const machine = [
    `--directory=${tree}`,
    '--volatile=overlay',
    `--machine=${name}`,
    '--register=no',
    '--keep-unit',
    '--private-network',
    '--resolv-conf=off',
    '--timezone=off',
    '--link-journal=no',
    '--console=pipe',
  ];
  const start = ['sh', '-c', START, join(cgroup.directory, 'cgroup.procs')];
  return [...SURROUND, ...start, ...machine, ...mounts, '--boot'];
}

/** The pid of the machine's process 1, once it is systemd in a root of its own. */
async function untilLeads(nspawn: TestProcess): Promise<number> {
  try {
    return await waitFor(() => findSystemd(nspawn.pid), {
      what: 'the machine to boot',
    });
  } catch (error) {
    await nspawn[Symbol.asyncDispose]();
    throw new Error(`${(error as Error).message}:\n${nspawn.output}`, { cause: error });
  }
}

function findSystemd(ancestor: number): number | undefined {
  return listDescendants(ancestor).find(({ pid }) => isBootedSystemd(pid))?.pid;
}

/** What has entered its namespaces only in part would let commands out to the host. */
function isBootedSystemd(pid: number): boolean {
  try {
    readFileSync(`/proc/${pid}/root${TREE_MARK}`);
    return readlinkSync(`/proc/${pid}/exe`).endsWith('/systemd');
  } catch {
    return false;
  }
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
