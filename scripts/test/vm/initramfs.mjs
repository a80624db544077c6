// The first root of an emulated machine: busybox, the kernel modules that its real root needs, and a
// script that mounts that and goes there.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const MODULES = ['virtio_pci', '9p', '9pnet_virtio', 'virtio_blk', 'zram'];
const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;
const CHARACTER_DEVICE = 0o020600;

const INIT = `#!/bin/busybox sh
PATH=/bin
for name in mount insmod mkdir switch_root; do /bin/busybox ln -s busybox /bin/$name; done
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do insmod $module; done
mkdir /new
mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,cache=loose host /new
for tree in proc sys dev; do mount --move /$tree /new/$tree; done
exec switch_root /new "$guest_init"
`;

const hex = (number) => number.toString(16).padStart(8, '0');
const pad = (length) => Buffer.alloc((4 - (length % 4)) % 4);

/** One entry of a cpio archive as Linux takes it (Documentation/driver-api/early-userspace/buffer-format.rst). */
function entry({ name, mode, data = Buffer.alloc(0), device = [0, 0] }, index) {
  const nameBytes = Buffer.from(`${name}\0`);
  const fields = [index + 1, mode, 0, 0, 1, 0, data.length, 0, 0, ...device, nameBytes.length, 0];
  const head = Buffer.concat([Buffer.from(`070701${fields.map(hex).join('')}`), nameBytes]);
  return Buffer.concat([head, pad(head.length), data, pad(data.length)]);
}

/** Files of the modules and of what they need, in the order in which they go in. */
function resolveModules(directory) {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ko'))
    .map((path) => [basename(path, '.ko').replaceAll('-', '_'), join(directory, path)]);
  const pathOf = new Map(paths);
  const ordered = new Set();
  const add = (name) => {
    const path = pathOf.get(name.replaceAll('-', '_'));
    if (path === undefined) return; // Built in.
    const [, needed = ''] = /\0depends=([^\0]*)\0/.exec(readFileSync(path, 'latin1')) ?? [];
    for (const other of needed.split(',').filter(Boolean)) add(other);
    ordered.add(path);
  };
  for (const name of MODULES) add(name);
  return [...ordered];
}

/**
 * @param busybox its file, linked statically
 * @param modules the directory of the kernel's modules
 */
export function makeInitramfs(busybox, modules) {
  const files = [
    ...['bin', 'dev', 'proc', 'sys', 'modules'].map((name) => ({ name, mode: DIRECTORY })),
    { name: 'dev/console', mode: CHARACTER_DEVICE, device: [5, 1] },
    { name: 'bin/busybox', mode: PROGRAM, data: readFileSync(busybox) },
    { name: 'init', mode: PROGRAM, data: Buffer.from(INIT) },
    ...resolveModules(modules).map((path, index) => ({
      name: `modules/${String(index).padStart(2, '0')}`,
      mode: PROGRAM,
      data: readFileSync(path),
    })),
    { name: 'TRAILER!!!', mode: 0 },
  ];
  return Buffer.concat(files.map(entry));
}
