import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** A directory tree that becomes a package: what is put in has the modes that a package should have. */
export class PackageTree {
  constructor(root) {
    this.root = root;
    mkdirSync(root, { recursive: true, mode: 0o755 });
    chmodSync(root, 0o755);
  }

  /** `content`: text or bytes. */
  put(path, content, mode = 0o644) {
    const target = join(this.root, path);
    this.directory(dirname(path));
    writeFileSync(target, content);
    chmodSync(target, mode);
  }

  directory(path) {
    mkdirSync(join(this.root, path), { recursive: true, mode: 0o755 });
  }

  link(path, target) {
    this.directory(dirname(path));
    symlinkSync(target, join(this.root, path));
  }

  /** Every file below, without the control files. */
  files(directory = '') {
    return readdirSync(join(this.root, directory), { withFileTypes: true })
      .filter(({ name }) => directory !== '' || name !== 'DEBIAN')
      .flatMap((entry) => {
        const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
        if (entry.isDirectory()) return this.files(path);
        return entry.isFile() ? [path] : [];
      })
      .sort();
  }

  sizeKiB() {
    const bytes = this.files().map((path) => statSync(join(this.root, path)).size);
    return bytes.reduce((sum, size) => sum + Math.ceil(size / 1024), 0);
  }

  /** DEBIAN/md5sums, deb-md5sums(5). */
  checksums() {
    const sum = (path) =>
      createHash('md5')
        .update(readFileSync(join(this.root, path)))
        .digest('hex');
    return this.files()
      .map((path) => `${sum(path)}  ${path}\n`)
      .join('');
  }
}
