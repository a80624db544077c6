import { spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dialUpstream } from '../../dist/supervisor/upstream-dialer.js';
import type { Vps } from '../../dist/supervisor/vps.js';
import { connectUnixInRoot } from '../../dist/sys/unix-in-root.js';
import { ATTACKER_ID, AttackLab, attackUnprotected } from './attack-lab.js';
import { titled, whyNoIsolation } from './root-support.js';

const NOTHING_HIDDEN = { stateRoot: '/nonexistent', runtimeRoot: '/nonexistent' };

function listen(server: Server, where: object): Promise<Server> {
  return new Promise((resolve) => server.listen(where, () => resolve(server)));
}

function answer(words: string): (socket: Socket) => void {
  return (socket) => socket.on('error', () => {}).end(words);
}

const portOf = (server: Server) => (server.address() as { port: number }).port;
const outsideAddress = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address;

describe.skipIf(whyNoIsolation !== null)(
  titled('who has taken over a service or a gateway'),
  () => {
    let lab: AttackLab;
    let service: Vps;
    let gateway: Vps;
    let inHostNetwork: Vps;
    let unmasked: Vps;
    let victim: ReturnType<typeof spawn>;
    let tcp: Server;
    let admin: Server;
    beforeAll(async () => {
      lab = new AttackLab();
      lab.file('state/services/other/secret', 'secret');
      lab.file('certificates/key.pem', 'private', 0o600);
      [service, gateway, inHostNetwork, unmasked] = await Promise.all([
        lab.serviceVps(),
        lab.gatewayVps(),
        lab.serviceVps({ network: 'host' }),
        lab.serviceVps(NOTHING_HIDDEN),
      ]);
      // Of the same user, so that no permission protects it but the namespace.
      victim = spawn('/bin/sleep', ['600'], { uid: ATTACKER_ID, gid: ATTACKER_ID });
      tcp = await listen(createServer(answer('')), { host: '0.0.0.0', port: 0 });
      const adminPath = join(lab.directory, 'runtime/admin.sock');
      admin = await listen(createServer(answer('admin')), { path: adminPath });
      chmodSync(adminPath, 0o777);
    });
    afterAll(async () => {
      victim?.kill('SIGKILL');
      tcp?.close();
      admin?.close();
      await lab[Symbol.asyncDispose]();
    });

    test('sees no process of the host, and can signal none', async () => {
      const pid = victim.pid as number;
      for (const vps of [service, gateway]) {
        expect(await lab.attack(vps, ['see', pid])).toMatch(/^refused/);
        expect(await lab.attack(vps, ['signal', pid, 0])).toMatch(/^refused/);
      }
      expect(await lab.attack(lab.hostVps(), ['see', pid])).toBe(`done sees process ${pid}`);
      expect(await lab.attack(lab.hostVps(), ['signal', pid, 0])).toBe(`done signalled ${pid}`);
    });

    test("reaches neither the host's loopback nor its other addresses", async () => {
      const port = portOf(tcp);
      const addresses = ['127.0.0.1', ...(outsideAddress === undefined ? [] : [outsideAddress])];
      for (const address of addresses) {
        for (const vps of [service, gateway]) {
          expect(await lab.attack(vps, ['connect', address, port])).toMatch(/^refused/);
        }
        expect(await lab.attack(inHostNetwork, ['connect', address, port])).toMatch(/^done/);
      }
    });

    test("reaches no other service's port", async () => {
      const other = await lab.serviceVps();
      const listening = lab.attack(other, ['accept-one', 7777]);
      const upstream = { kind: 'tcp', host: '127.0.0.1', port: 7777 } as const;
      expect(await lab.attack(service, ['connect', '127.0.0.1', 7777])).toMatch(/^refused/);
      expect(await lab.attack(gateway, ['connect', '127.0.0.1', 7777])).toMatch(/^refused/);
      await expect.poll(() => lab.attack(other, ['connect', '127.0.0.1', 7777])).toMatch(/^done/);
      expect(await listening).toMatch(/^done/);
      expect(await dialUpstream(service, upstream, null)).toHaveProperty('errno');
    });

    test("reads neither other services' state nor the runtime directory", async () => {
      const secret = join(lab.directory, 'state/services/other/secret');
      const socket = join(lab.directory, 'runtime/admin.sock');
      for (const vps of [service, gateway]) {
        expect(await lab.attack(vps, ['read', secret])).toMatch(/^refused/);
        expect(await lab.attack(vps, ['list', join(lab.directory, 'state')])).toMatch(/^refused/);
        expect(await lab.attack(vps, ['connect-unix', socket])).toMatch(/^refused/);
      }
      expect(await lab.attack(unmasked, ['read', secret])).toBe('done read secret');
      expect(await lab.attack(unmasked, ['list', join(lab.directory, 'state')])).toBe(
        'done lists services',
      );
      expect(await lab.attack(unmasked, ['connect-unix', socket])).toMatch(/^done/);
    });

    test('reads no file that only root may read, such as a private key', async () => {
      const key = join(lab.directory, 'certificates/key.pem');
      expect(await lab.attack(service, ['read', key])).toMatch(/^refused Permission denied/);
      expect(await lab.attack(gateway, ['read', key])).toMatch(/^refused No such file/);
      expect(await lab.attack(service, ['read', key], { identity: null })).toBe(
        'done read private',
      );
    });

    test("learns nothing of other services from the host's cgroups", async () => {
      expect(await lab.attack(service, ['list', '/sys/fs/cgroup'])).toBe('refused empty');
      expect(await lab.attack(gateway, ['list', '/sys/fs/cgroup'])).toMatch(/^refused/);
      expect(await lab.attack(lab.hostVps(), ['list', '/sys/fs/cgroup'])).toMatch(/^done/);
    });

    test('writes nowhere but where it was granted', async () => {
      const open = join(lab.directory, 'open');
      mkdirSync(open);
      chmodSync(open, 0o777);
      expect(await lab.attack(service, ['write-somewhere'])).toMatch(
        /^refused nothing of \d+ folders/,
      );
      expect(await lab.attack(gateway, ['write-somewhere'])).toMatch(
        /^refused nothing of \d+ folders/,
      );
      const granted = await lab.serviceVps({ writable: [open] });
      expect(await lab.attack(service, ['write', join(open, 'x')])).toMatch(/^refused Read-only/);
      expect(await lab.attack(granted, ['write', join(open, 'x')])).toMatch(/^done/);
      expect(await lab.attack(granted, ['write-somewhere'])).toBe(`done wrote in ${open}`);
      expect(existsSync(join(open, 'x'))).toBe(true);
    });

    test('gains nothing by a setuid program', async () => {
      const program = join(lab.directory, 'whoami');
      copyFileSync('/usr/bin/whoami', program);
      chownSync(program, 0, 0);
      chmodSync(program, 0o4755);
      expect(await lab.attack(service, ['run', program])).not.toContain('root');
      const capabilities = "grep -E 'CapPrm|CapBnd' /proc/self/status";
      expect(await lab.attack(service, ['run', capabilities])).toMatch(
        /^ran CapPrm:\s0+\nCapBnd:\s0+$/,
      );
      expect(await attackUnprotected(['run', program], { uid: ATTACKER_ID })).toBe('ran root');
    });

    test('leads nobody elsewhere with a symlink in place of its upstream socket', async () => {
      const socket = join(lab.directory, 'runtime/admin.sock');
      expect(await lab.attack(service, ['symlink', socket, '/run/app.sock'])).toMatch(/^done/);
      expect(connectUnixInRoot(service.root, '/run/app.sock', null)).toHaveProperty('errno');
      // Resolved in the usual way the name leads to the host's socket.
      const client = connect(join(service.root, 'run/app.sock'));
      expect(await text(client)).toBe('admin');
    });
  },
);
