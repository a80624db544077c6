import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findGatewayPaths, gatewayVpsArguments } from '../../src/supervisor/gateway-vps-plan.js';
import { findHelper, hostFiles } from '../../src/supervisor/host-files.js';
import {
  checkPlan,
  hostnameOf,
  serviceVpsArguments,
  type VpsRequest,
} from '../../src/supervisor/vps-plan.js';

const whyNot = whyNoBubblewrap();
const title = (name: string) => (whyNot === null ? name : `${name} (skipped: ${whyNot})`);

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'rouse-vps-')));
  chmodSync(root, 0o755);
  for (const folder of ['state', 'runtime', 'notify']) mkdirSync(join(root, folder));
});
afterEach(() => rmSync(root, { recursive: true }));

function file(path: string, text = 'content'): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
  return full;
}

function request(script: string, parts: Partial<VpsRequest> = {}): VpsRequest {
  return {
    name: 'blog',
    hostname: 'blog',
    network: 'private',
    directory: null,
    readable: [],
    writable: [],
    hidden: [],
    programReadable: [],
    stateRoot: join(root, 'state'),
    runtimeRoot: join(root, 'runtime'),
    notifyDirectory: null,
    cgroupDirectory: null,
    tmpBytes: null,
    stateDirectory: null,
    extraTmpfs: [],
    command: ['/bin/sh', '-c', script],
    ...parts,
  };
}

/** Runs a script in a VPS as the holder's command; what it prints, errors included. */
function run(vpsArguments: readonly string[]): string {
  const { stdout, stderr } = spawnSync(findHelper('bwrap', 'bubblewrap'), vpsArguments, {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
  });
  return `${stdout}${stderr}`.trim();
}

function look(script: string, parts: Partial<VpsRequest> = {}): string {
  return run(serviceVpsArguments(request(script, parts), hostFiles));
}

/** What a script prints as a user who isn't root, since root may read and write everything. */
const asNobody = (script: string) =>
  `setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '${script}' 2>&1`;

describe.skipIf(whyNot !== null)(title('the VPS of a service'), () => {
  it('shows the system, but nobody’s home and nothing of rouse', () => {
    file('state/secret');
    file('runtime/admin.sock');
    const directory = root;
    expect(look('cd /home; ls -A . ../root ../run')).toBe('.:\n\n../root:\n\n../run:');
    expect(look(`ls -A ${root}/state ${root}/runtime; ls ${root}`, { directory })).not.toMatch(
      /secret|admin/,
    );
    expect(look('test -e /usr/bin/env && test -e /etc/passwd && echo there')).toBe('there');
  });

  it('has folders of its own for what is temporary, and can write nowhere else', () => {
    const folders = '/tmp /var/tmp /run /dev/shm';
    expect(look(asNobody(`for f in ${folders}; do ls -A $f; echo x > $f/y && echo ok; done`))).toBe(
      'ok\nok\nok\nok',
    );
    expect(look('touch /etc/rouse-x /usr/rouse-x /home/x /root/x; true').split('\n')).toEqual(
      Array(4).fill(expect.stringContaining('Read-only file system')),
    );
  });

  it('has processes, network, host name and System V objects of its own', () => {
    expect(look('hostname; ls -d /proc/[0-9]* | wc -l; cat /proc/net/dev | grep -c :')).toMatch(
      /^blog\n[2-5]\n1$/,
    );
    const names = ['pid', 'net', 'ipc', 'uts', 'mnt'];
    const own = names.map((name) => hostFiles.readlink(`/proc/self/ns/${name}`));
    const inside = look(names.map((name) => `readlink /proc/self/ns/${name}`).join(';'));
    expect(inside.split('\n').filter((link) => own.includes(link))).toEqual([]);
  });

  it('has the network of the host where that is configured', () => {
    const outside = hostFiles.readlink('/proc/self/ns/net');
    expect(look('readlink /proc/self/ns/net', { network: 'host' })).toBe(outside);
  });

  it('shows directory, readable and program folders read-only, writable ones not', () => {
    const parts = {
      directory: dirname(file('app/server.js', 'directory')),
      readable: [file('shared/file', 'readable')],
      programReadable: [dirname(file('node/bin/node', 'program'))],
      writable: [dirname(file('data/old', 'writable'))],
    };
    const files = 'app/server.js shared/file node/bin/node data/old';
    expect(look(`cd ${root}; for f in ${files}; do cat $f; echo; done`, parts)).toBe(
      'directory\nreadable\nprogram\nwritable',
    );
    const writes = look(
      `cd ${root}; touch app/x; touch shared/file; touch data/x && echo ok`,
      parts,
    );
    expect(writes.match(/Read-only/g)).toHaveLength(2);
    expect(writes).toContain('ok');
    expect(hostFiles.exists(join(root, 'data/x'))).toBe(true);
    expect(look(`ls ${root}`, parts).split('\n').toSorted()).toEqual([
      'app',
      'data',
      'node',
      'shared',
    ]);
  });

  it('lets the more specific path win, in whatever order they are given', () => {
    file('app/data/uploads/x');
    file('app/data/keys/secret');
    file('app/.env', 'token');
    const parts = {
      directory: join(root, 'app'),
      writable: [join(root, 'app/data')],
      readable: [join(root, 'app/data/uploads')],
      hidden: [join(root, 'app/data/keys'), join(root, 'app/.env'), join(root, 'app/none')],
    };
    const script = `cd ${root}/app; ls data/keys; cat .env; touch x; touch data/uploads/y; touch data/y && echo ok`;
    const output = look(script, parts);
    expect(output).not.toMatch(/secret|token/);
    expect(output.match(/Read-only/g)).toHaveLength(2);
    expect(output).toContain('ok');
  });

  it('keeps a writable folder writable when the directory lies in it', () => {
    file('app/web/index.html');
    const parts = { directory: join(root, 'app/web'), writable: [join(root, 'app')] };
    expect(look(`touch ${root}/app/web/x && echo ok`, parts)).toBe('ok');
  });

  it('hides paths outside the hidden trees too', () => {
    const hidden = ['/usr/share', '/etc/passwd'];
    expect(look('ls -A /usr/share; cat /etc/passwd', { hidden })).toBe(
      'cat: /etc/passwd: Permission denied',
    );
  });

  it('finds what is named through symlinks under both names', () => {
    file('releases/5/server.js', 'five');
    symlinkSync('releases/5', join(root, 'current'));
    symlinkSync(join(root, 'current'), join(root, 'app'));
    const script = `cd ${root}/app; cat server.js; echo; pwd -P; readlink ${root}/app ${root}/current`;
    expect(look(script, { directory: join(root, 'app') })).toBe(
      ['five', `${root}/releases/5`, `${root}/current`, 'releases/5'].join('\n'),
    );
  });

  it('has the notify directory where the service is told it is, writable', () => {
    const notifyDirectory = join(root, 'notify');
    expect(look('echo READY > /run/rouse-notify/x; ls -A /run', { notifyDirectory })).toBe(
      'rouse-notify',
    );
    expect(hostFiles.exists(join(notifyDirectory, 'x'))).toBe(true);
  });

  it('has an empty folder for a Unix upstream, writable for the service', () => {
    const extraTmpfs = ['/run/postgresql', '/var/run/app', '/usr/share'];
    const script = 'touch /run/postgresql/x /var/run/app/y && ls /run/postgresql /run/app';
    expect(look(asNobody(script), { extraTmpfs })).toBe('/run/app:\ny\n\n/run/postgresql:\nx');
    expect(look('ls /usr/share | head -1', { extraTmpfs })).toMatch(/\w/);
  });
});

describe('the plan of a VPS', () => {
  it('names what does not exist, with service and key', () => {
    const parts = { directory: '/nope/a', readable: ['/usr', '/nope/b'], writable: ['/nope/c'] };
    const errors = checkPlan(request('', parts), hostFiles);
    expect(errors.map(({ code, message }) => [code, message.split(';')[0]])).toEqual([
      ['config', 'service blog: run.directory: /nope/a does not exist'],
      ['config', 'service blog: isolation.readable: /nope/b does not exist'],
      ['config', 'service blog: isolation.writable: /nope/c does not exist'],
    ]);
    expect(checkPlan(request(''), hostFiles)).toEqual([]);
  });

  it('does not trip over hidden trees that a host does not have, or has as symlinks', () => {
    const links: Record<string, string> = { '/home': 'var/home' };
    const host = {
      exists: (path: string) => !['/root', '/var/tmp'].includes(path),
      isDirectory: () => true,
      realpath: (path: string) => path.replace(/^\/home/, '/var/home'),
      readlink: (path: string) => links[path] ?? null,
    };
    const vpsArguments = serviceVpsArguments(request('', { directory: '/home/me/app' }), host);
    const hidden = vpsArguments.filter((_, index) => vpsArguments[index - 1] === '--tmpfs');
    expect(hidden).toEqual(['/run', '/tmp', '/var/home', '/dev/shm', '/sys/fs/cgroup']);
    const bound = vpsArguments.indexOf('/var/home/me/app');
    expect(vpsArguments.slice(bound - 1, bound + 2)).toEqual([
      '--ro-bind',
      ...Array(2).fill('/var/home/me/app'),
    ]);
    expect(vpsArguments).not.toContain('/home');
  });

  it('makes a host name of any service name', () => {
    expect(hostnameOf('blog')).toBe('blog');
    expect(hostnameOf('My_blog.v2')).toBe('My-blog-v2');
    expect(hostnameOf('...')).toBe('service');
    expect(hostnameOf('x'.repeat(99))).toHaveLength(63);
  });
});

describe.skipIf(whyNot !== null)(title('the VPS of a gateway'), () => {
  const packageRoot = join(import.meta.dirname, '../..');
  const enter = (script: string) =>
    run(
      gatewayVpsArguments(
        {
          hostname: 'main',
          network: 'none',
          readable: findGatewayPaths(process.execPath, packageRoot, hostFiles),
          command: ['/bin/sh', '-c', script],
        },
        hostFiles,
      ),
    );

  it('holds node, rouse and nothing of any service', () => {
    const top = enter('ls -A /; ls -A /etc; ls -A /home /root /run /srv /opt /var').split('\n');
    expect(top).not.toContain('home');
    expect(top).not.toContain('passwd');
    expect(enter(`cd ${packageRoot}; ls -A`).split('\n')).not.toContain('test');
    const script = `console.log(typeof require("koffi").load, process.version)`;
    expect(enter(`cd ${packageRoot} && ${process.execPath} -e '${script}'`)).toBe(
      `function ${process.version}`,
    );
  });

  it('can be written to nowhere, even by root', () => {
    const places = ['/', '/dev', '/etc', '/usr', dirname(packageRoot), packageRoot, '/tmp'];
    const script = places.map((place) => `touch ${place}/x`).join('; ');
    expect(enter(script).split('\n')).toEqual(
      places.map(() => expect.stringMatching(/Read-only|No such file/)),
    );
    expect(enter('echo x > /dev/null && head -c 1 /dev/urandom | wc -c')).toBe('1');
  });

  it('has no network at all', () => {
    expect(enter('grep -c : /proc/net/dev; cat /proc/net/route | wc -l')).toBe('1\n1');
  });
});

function whyNoBubblewrap(): string | null {
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    const bwrap = findHelper('bwrap', 'bubblewrap');
    execFileSync(bwrap, ['--unshare-net', '--unshare-pid', '--ro-bind', '/', '/', 'true']);
    return null;
  } catch (error) {
    return (error as Error).message.split('\n')[0] ?? 'bubblewrap does not work here';
  }
}
