// Virtual machines whose kernel has what this one may lack: cgroup2 with every controller. Their root
// is this machine's own, read-only; memory is all that they write to, but for the results.
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../prepare/root.mjs';
import { makeInitramfs } from './initramfs.mjs';

/** Where a machine sees the project, its kernel and the directory of the results. */
const GUEST = { project: '/mnt/project', kernel: '/mnt/kernel', results: '/mnt/results' };
const MEMORY = '1536M';
const DISK_BYTES = 16 * 1024 * 1024;

const only = (directory) => join(directory, readdirSync(directory)[0]);

/** In a mount namespace where nothing can be written but the results, and which ends with this process. */
function confine(kernel, results) {
  return [
    ...['bwrap', '--die-with-parent', '--unshare-pid', '--unshare-ipc', '--unshare-net'],
    ...['--ro-bind', '/', '/', '--dev-bind', '/dev', '/dev', '--proc', '/proc'],
    ...['--tmpfs', '/mnt', '--ro-bind', ROOT, GUEST.project, '--ro-bind', kernel, GUEST.kernel],
    ...['--bind', results, GUEST.results, '--tmpfs', '/tmp'],
    ...['--setenv', 'TMPDIR', '/tmp', '--setenv', 'HOME', '/tmp', '--'],
  ];
}

/** What the kernel hands on to its first process: names that it doesn't know become environment. */
function environmentOf(modules, tests, patienceMs) {
  const values = { NODE: process.execPath, MODULES: `${GUEST.kernel}${modules}`, TESTS: tests };
  const all = { ...values, PATIENCE_MS: patienceMs };
  return [...Object.entries(all).map(([name, value]) => `${name}=${value}`), 'panic=-1'];
}

const guestInit = `${GUEST.project}/test/vm/guest-init.sh`;

/** User Mode Linux: a kernel as a process. Fast to boot, but with one CPU, no cpuset and no io weights. */
const userMode = {
  packages: ['user-mode-linux'],
  command(kernel, results) {
    const modules = only(join(kernel, 'usr/lib/uml/modules')).slice(kernel.length);
    const root = ['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'rw'];
    const linux = [join(GUEST.kernel, 'usr/bin/linux.uml'), `mem=${MEMORY}`, ...root, 'quiet'];
    const consoles = ['con=null', 'con0=null,fd:1', 'con1=null'];
    const rest = [
      ...consoles,
      ...environmentOf(modules, 'limits,delegation', 60_000),
      `init=${guestInit}`,
    ];
    return [...confine(kernel, results), ...linux, ...rest];
  },
};

/**
 * QEMU with a kernel that has everything.
 * @param tests parts of the names of the tests that it runs, with commas between them; none: all
 */
function emulated(accelerator, tests, patienceMs) {
  return {
    packages: ['linux-image-amd64', 'busybox-static'],
    command(kernel, results) {
      const modules = only(join(kernel, 'lib/modules'));
      const initramfs = makeInitramfs(join(kernel, 'bin/busybox'), modules);
      writeFileSync(join(results, 'initramfs'), initramfs);
      writeFileSync(join(results, 'disk'), '');
      truncateSync(join(results, 'disk'), DISK_BYTES);
      const image = readdirSync(join(kernel, 'boot')).find((name) => name.startsWith('vmlinuz'));
      const environment = environmentOf(modules.slice(kernel.length), tests, patienceMs);
      const parameters = ['console=ttyS0', 'quiet', 'mitigations=off', `guest_init=${guestInit}`];
      return [
        ...confine(kernel, results),
        ...['qemu-system-x86_64', '-accel', accelerator, '-cpu', 'max', '-m', MEMORY, '-smp', '2'],
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
        ...['-serial', 'stdio', '-kernel', `${GUEST.kernel}/boot/${image}`],
        ...['-initrd', `${GUEST.results}/initramfs`],
        ...['-append', [...parameters, ...environment].join(' ')],
        ...['-fsdev', 'local,id=host,path=/,security_model=none,multidevs=remap'],
        ...['-device', 'virtio-9p-pci,fsdev=host,mount_tag=host'],
        ...['-drive', `file=${GUEST.results}/disk,format=raw,if=virtio`],
      ];
    },
  };
}

export const MACHINES = {
  'user-mode': userMode,
  kvm: emulated('kvm', '', 60_000),
  // A hundred times slower than the machine that it runs on: only what the other kernel lacks.
  emulated: emulated('tcg,thread=multi', 'cpus-and-io', 600_000),
};
