import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Vps } from '../../dist/supervisor/vps.js';
import { AttackLab, attackUnprotected } from './attack-lab.js';
import { titled, whyNoIsolation } from './root-support.js';

/** Calls that are let through as root without the filter (with arguments that do no harm), and with it never. */
const PRIVILEGED = [
  ...['init_module', 'finit_module', 'delete_module', 'kexec_load'],
  ...['umount2', 'pivot_root', 'move_mount', 'fsopen', 'mount_setattr'],
  ...['process_vm_readv', 'pidfd_getfd', 'bpf', 'perf_event_open', 'userfaultfd', 'keyctl'],
  ...[
    'clock_settime',
    'settimeofday',
    'adjtimex',
    'swapon',
    'reboot',
    'open_by_handle_at',
    'packet_socket',
  ],
];

/** Calls that any user may make without the filter. */
const ORDINARY = [
  ...['ptrace', 'unshare_user', 'clone_user', 'personality', 'terminal_input'],
  ...['keyctl', 'process_vm_readv'],
];

describe.skipIf(whyNoIsolation !== null)(titled('a system call that servers never need'), () => {
  let lab: AttackLab;
  let service: Vps;
  let gateway: Vps;
  beforeAll(async () => {
    lab = new AttackLab();
    service = await lab.serviceVps();
    gateway = await lab.gatewayVps();
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test.each(PRIVILEGED)(
    '%s is refused to a service and to a gateway, and to root without the filter not',
    async (call) => {
      expect(await lab.attack(service, [call])).toMatch(/^refused/);
      expect(await lab.attack(gateway, [call])).toMatch(/^refused/);
      expect(await attackUnprotected([call])).toMatch(/^done/);
    },
  );

  test.each(ORDINARY)(
    '%s is refused to a service and to a gateway by the filter alone',
    async (call) => {
      expect(await lab.attack(service, [call])).toMatch(/^refused/);
      expect(await lab.attack(gateway, [call])).toMatch(/^refused/);
      expect(await lab.attack(service, [call], { filter: null })).toMatch(/^done/);
    },
  );

  test('mount is refused even to root in a VPS', async () => {
    expect(await lab.attack(service, ['mount', '/tmp'], { identity: null })).toMatch(/^refused/);
    expect(await lab.attack(service, ['mount', '/tmp'], { identity: null, filter: null })).toMatch(
      /^refused/,
    );
  });

  test('a process with CPUs of its own stays on them', async () => {
    const pinned = { filter: 'pinned', cpus: [0] } as const;
    expect(await lab.attack(service, ['widen-affinity'], pinned)).toMatch(/^refused/);
    expect(await lab.attack(service, ['run', 'nproc'], pinned)).toBe('ran 1');
    expect(await lab.attack(service, ['widen-affinity'], { cpus: [0] })).toMatch(/^done/);
  });
});
