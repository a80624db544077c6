import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixturePath } from '../support/fixture.js';
import { runToEnd, TestProcess } from '../support/run-process.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';

/** Addresses for documentation (RFC 5737), which are nobody's outside these networks. */
export const OUTSIDE = '198.51.100.2';
export const HOST = '198.51.100.1';
/** The host's too, on an interface without a carrier, which Node doesn't list. */
export const IDLE_HOST = '203.0.113.1';

const HOSTS = `127.0.0.1 localhost
${OUTSIDE} allowed.test other.test
127.0.0.1 loopback.test
${OUTSIDE} half.test
127.0.0.1 half.test
${HOST} host.test
${IDLE_HOST} idle-host.test
::ffff:127.0.0.1 mapped.test
0.0.0.0 nobody.test
`;

const NETWORK = `
set -e
ip link set lo up
ip link add to-outside type veth peer name to-host netns "$1"
ip addr add ${HOST}/24 dev to-outside
ip link set to-outside up
nsenter -t "$1" -n sh -c 'ip link set lo up && ip addr add ${OUTSIDE}/24 dev to-host && ip link set to-host up'
ip link add idle-left type veth peer name idle-right
ip addr add ${IDLE_HOST}/24 dev idle-left
ip link set idle-left up
mount --bind "$2/hosts" /etc/hosts
mount --bind "$2/resolv.conf" /etc/resolv.conf
mount --bind "$2/nsswitch.conf" /etc/nsswitch.conf
echo connected
exec sleep 1000000
`;

/**
 * Two networks of the test's own, a host and an outside, with a cable between them: web servers on
 * port 80 of either, a name server outside, and on the host names for what services may try.
 */
export class OutsideWorld implements AsyncDisposable {
  private constructor(
    private readonly processes: readonly TestProcess[],
    private readonly directory: Disposable,
    /** Where a process asks for names: what it was asked for. */
    readonly names: TestProcess,
    private readonly host: TestProcess,
  ) {}

  static async start(): Promise<OutsideWorld> {
    const directory = makeTemporaryDirectory();
    const write = (name: string, text: string) => writeFileSync(join(directory.path, name), text);
    write('hosts', HOSTS);
    write('resolv.conf', `nameserver ${OUTSIDE}\noptions timeout:1 attempts:1\n`);
    write('nsswitch.conf', 'hosts: files dns\n');
    const outside = new TestProcess([
      'unshare',
      '--net',
      'sh',
      '-c',
      'echo up; exec sleep 1000000',
    ]);
    await outside.waitForOutput(/up/);
    const prepare = ['sh', '-c', NETWORK, 'sh', String(outside.pid), directory.path];
    const host = new TestProcess(['unshare', '--net', '--mount', ...prepare]);
    await host.waitForOutput(/connected/);
    const serve = (where: TestProcess, name: string) =>
      new TestProcess([...enter(where), fixturePath('http-hello.js'), '80'], {
        environment: { NAME: name, HOST: '0.0.0.0' },
      });
    const names = new TestProcess([
      ...[...enter(outside), fixturePath('changing-names.js'), OUTSIDE],
      `rebind.test=${OUTSIDE},127.0.0.1`,
    ]);
    const servers = [serve(outside, 'outside'), serve(host, 'the-host'), names];
    for (const server of servers) await server.waitForPort();
    return new OutsideWorld([...servers, host, outside], directory, names, host);
  }

  /** Comes before the command of a process that is to run on the host. */
  get prefix(): readonly string[] {
    return enter(this.host);
  }

  /** Runs a shell command on the host itself. */
  async run(script: string): Promise<string> {
    const { stdout, stderr } = await runToEnd([...this.prefix, 'sh', '-c', script]);
    return stdout + stderr;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.processes) await one[Symbol.asyncDispose]();
    this.directory[Symbol.dispose]();
  }
}

function enter({ pid }: TestProcess): string[] {
  return ['nsenter', '--target', String(pid), '--net', '--mount'];
}
